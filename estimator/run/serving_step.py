"""One device's part in a step of a serving engine: its kernels with their demands, its exchanges, its sampling and its waiting."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log, sqrt

from estimator.hardware.demand import Demand
from estimator.hardware.roofline import duration
from estimator.hardware.schema import Profile
from estimator.kept import kept
from estimator.model.architecture import Architecture
from estimator.model.work import Kernel
from estimator.run.collective import exchanged
from estimator.run.engine_kernels import Batch, Engine
from estimator.run.entry import WAITING, Asked
from estimator.run.experts import on_engine, touched
from estimator.run.group import Group
from estimator.run.parallel import Parallel
from estimator.run.phase import asked, counted
from estimator.run.pictures import looking, seen, width_of
from estimator.run.roles import is_grouped, widths
from estimator.run.serving import Serving
from estimator.run.shard import check_degree, shard
from estimator.run.stack import Stack, engine_of, terms

KEPT = 8  # exact: models whose parts are kept at hand


@dataclass(frozen=True)
class Part:
    """Something that a step asks of the device, and the share of it that the prompts in the step cause."""

    asked: Asked
    prompts: float


@kept(KEPT)
def _engine(model: Architecture, fusion: str) -> Engine:
    return Engine(model.programs, fusion)


class Steps:
    """Steps of one model on one device of a group, at any batch."""

    def __init__(self, model: Architecture, profile: Profile, stack: Stack, parallel: Parallel) -> None:
        self.model, self.profile, self.stack, self.parallel = model, profile, stack, parallel
        self.serves = engine_of(stack)
        self.engine = _engine(model, stack.fusion)
        check_degree(model.name, self.engine.decode.kernels[stack.fusion], parallel.tensor)
        self.group = Group(profile, parallel)

    def parts(self, batch: Batch) -> list[Part]:
        """Everything that one device does in a step in which `batch` is its data-parallel rank's share."""
        whole = self.engine.kernels(batch, self.parallel.data if self.parallel.expert > 1 else 1)
        kernels = shard([kernel for kernel, _ in whole], self.parallel.tensor, self.parallel.expert)
        tokens = batch.rows * (self.parallel.data if self.parallel.expert > 1 else 1)
        items = [asked(kernel, self.profile, self.stack) for kernel in kernels]
        done = on_engine(items, kernels, tokens, self.parallel.expert, self.serves, self.profile)
        parts = [Part(item, share) for item, (_, share) in zip(done, whole)]
        parts += self._waiting(parts, kernels)
        exchanges = self.group.exchanges([kernel for kernel, _ in whole], batch.rows, batch.logits)
        parts += [Part(exchanged(exchange, self.stack), batch.share) for exchange in exchanges]
        return [*parts, self._sampling([kernel for kernel, _ in whole], batch)]

    def look(self, run: Serving, requests: float) -> list[Part]:
        """What one device does in a step to look at the pictures of so many requests, fewer than one where a step rarely has any.

        The host launches each kernel: engines keep no graph of a tower, whose pictures differ in size.
        """
        pictures = seen(self.model, run).pictures
        if not pictures:
            return []
        often, together = min(requests * pictures, 1.0), max(requests, 1 / pictures)
        stack = self.stack.model_copy(update={"launch_interval": self.serves.launch_interval})
        whole, own = (looking(self.model, run, stack.fusion, together, ranks) for ranks in (1, self.parallel.tensor))
        items = [asked(kernel, self.profile, stack) for kernel in own]
        items += [exchanged(exchange, stack) for exchange in self.group.exchanges_looking(whole, width_of(whole))]
        return [Part(scaled(item, often), 1.0) for item in items]

    def attention(self, batch: Batch) -> list[Asked]:
        """Attention to the caches alone, in one step."""
        whole = [kernel for kernel, _ in self.engine.kernels(batch)]
        own = shard(whole, self.parallel.tensor, self.parallel.expert)
        return [asked(kernel, self.profile, self.stack) for kernel in own if kernel.kind == "attention"]

    def seconds(self, part: Part, clock: float | None = None) -> float:
        """Seconds of all launches of a part at a clock (the highest unless given)."""
        _, span = counted(part.asked.demand, self.profile)
        return part.asked.launches * span.seconds(float(self.profile.clock.boost) if clock is None else clock)

    def _waiting(self, parts: Sequence[Part], kernels: Sequence[Kernel]) -> list[Part]:
        """Ranks with fewer rows or experts in a step wait for the busiest of them."""
        ranks, found = self.parallel.expert, []
        for part, kernel in zip(parts, kernels):
            if ranks == 1 or not is_grouped(kernel.signatures[0]) or kernel.signatures[0].get("scaled_output"):
                continue  # a buffer for the rows of all ranks takes each of them equally long
            clock = float(self.profile.clock.boost)
            span = duration(part.asked.demand, self.profile)
            mean = touched(kernel) if span.memory_seconds >= span.cycles / clock else (kernel.signatures[0].outputs[0].shape[0], 0.0)
            excess = self.serves.expert_skew * (1 + sqrt(2 * log(ranks) * max(1 - mean[1], 0.0) / mean[0])) - 1
            wait = Demand(overhead=excess * span.execution(clock))
            name = "waiting for the busiest experts"
            found.append(Part(Asked(name, WAITING, wait, part.asked.launches, kernel.module, kernel.layers), part.prompts))
        return found

    def _sampling(self, kernels: Sequence[Kernel], batch: Batch) -> Part:
        """Choosing the next tokens from the logits; every rank does it on all of them."""
        rows = batch.logits
        vocabulary = next((widths(k.signatures[0])[1] for k in reversed(kernels) if k.kind == "matmul"), 0)
        moved = rows * vocabulary * self.serves.sampling_bytes
        demand = Demand(l2_bytes=moved, memory_bytes=moved, vector_ops=rows * vocabulary, **terms("reduction", self.stack))
        return Part(Asked("sampling", "reduction", demand), batch.prompts / rows)


def scaled(part: Asked, factor: float) -> Asked:
    """The same launches, `factor` times as often."""
    return Asked(part.name, part.kind, part.demand, part.launches * factor, part.module, part.layers, part.flop, part.matmul_flop)
