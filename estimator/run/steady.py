"""The steady state of continuous batching: what the mean step of an engine does with a given number of requests in flight.

With N sequences in flight and outputs of o tokens, each step yields N tokens, N/o requests finish in it and as many arrive, so that the
next step computes their prompts beside the decoding. Arrivals are Poisson: a step has none with probability exp(-N/o).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import exp, sqrt
from typing import NamedTuple

from estimator.hardware.demand import Demand
from estimator.run.engine_kernels import Batch
from estimator.run.entry import COMMUNICATION, HOST, WAITING, Asked
from estimator.run.lengths import Lengths
from estimator.run.phase import Phase, Settled, repeated, settle_together
from estimator.run.serving import Serving
from estimator.run.serving_step import Part, Steps, scaled
from estimator.run.stack import host_seconds

ROUNDS = 30  # exact: bisections of the number that decodes where prompts fill every step
WHOLE = 0.5  # exact: fewer decoding sequences than this round to none


class Chunk(NamedTuple):
    """A kind of step with prompts in it: its share of all steps, the requests in it and their new tokens; a prompt `spans` steps."""

    share: float
    prompts: float
    new: float
    spans: float


@dataclass(frozen=True)
class Mix:
    """The steps of a rank with `decoding` sequences that get `yielded` tokens in each; shares of the steps that hold prompts."""

    decoding: float
    chunks: tuple[Chunk, ...]
    context: Lengths
    cached: float
    yielded: float = 1.0

    @property
    def pure(self) -> float:
        """Share of the steps without prompts."""
        return max(1 - sum(chunk.share for chunk in self.chunks), 0.0)


def mix_of(run: Serving, flight: float) -> Mix:
    """The steps of one rank with `flight` requests in flight, on the mean; prompts that fill all steps leave fewer to decode."""
    low, high = 0.0, min(flight, run.chunk_tokens - 1.0)
    mix = _mix(run, high)
    if sum(chunk.share for chunk in mix.chunks) <= 1:
        return mix
    for _ in range(ROUNDS):
        middle = (low + high) / 2
        mix = _mix(run, middle)
        low, high = (low, middle) if sum(chunk.share for chunk in mix.chunks) > 1 else (middle, high)
    return _mix(run, low)


def _mix(run: Serving, decoding: float) -> Mix:
    prompts, outputs = run.prompts, run.outputs
    yielded = run.tokens_per_step
    arrivals = decoding * yielded / outputs.mean
    some = 1 - exp(-arrivals)  # share of steps in which at least one request arrives
    together = arrivals / some
    new = max(prompts.mean * (1 - run.cached_share), 1.0)
    room = max(run.chunk_tokens - decoding, 1.0)
    chunks = []
    for size, weight in _classes(new, prompts.spread / sqrt(together)):
        spans = max(together * size / room, 1.0)
        chunks.append(Chunk(some * weight * spans, together / spans, size, spans))
    context = in_flight(prompts, outputs)
    return Mix(decoding, tuple(chunks), context, prompts.mean * run.cached_share, yielded)


def _pieces(chunk: Chunk, cached: float) -> tuple[float, float, float]:
    """(prompts, new tokens, cached tokens) of a step; of a prompt that fills several steps, a piece that sees half of the others."""
    prompts = max(chunk.prompts, 1.0)
    new = chunk.new * chunk.prompts / prompts
    return prompts, new, cached + (chunk.new - new) / 2


def in_flight(prompts: Lengths, outputs: Lengths) -> Lengths:
    """Tokens in the cache of a sequence met at a random moment: its prompt, and what it has yielded so far.

    A sequence of n outputs is met with a probability proportional to n, anywhere between its first and its last token: the k-th moment of
    what it has yielded is E[n^(k+1)] / ((k + 1) E[n]), for log-normal n.
    """
    grown = 1 + outputs.spread**2
    yielded, square = outputs.mean * grown / 2, outputs.mean**2 * grown**3 / (2 + 1)
    mean = prompts.mean + max(yielded - 1 / 2, 0.0)
    variance = (prompts.mean * prompts.spread) ** 2 + max(square - yielded**2, 0.0)
    return Lengths(mean, sqrt(variance) / mean)


def _classes(mean: float, spread: float) -> list[tuple[float, float]]:
    """(tokens, weight) that stand for log-normal lengths of that mean and spread."""
    return [(max(size, 1.0), weight) for size, weight in Lengths(max(mean, 1.0), spread).classes()]


class Steady:
    """Everything about one replica with `flight` requests in flight: its mean step, what it costs and what it yields."""

    def __init__(self, steps: Steps, run: Serving, flight: float, draft: Steps | None = None) -> None:
        self.steps, self.run, self.flight, self.draft = steps, run, flight, draft
        self.arrived = 0.0  # requests in flight on the mean over empty moments too, where requests come at a rate
        parallel = steps.parallel
        self.ranks = parallel.data * parallel.pipeline  # groups of requests that are computed apart, or one after the other
        self.mix = mix_of(run, flight / self.ranks)

    @property
    def tokens(self) -> float:
        """Output tokens of one step of all ranks."""
        return self.mix.decoding * self.mix.yielded * self.ranks

    @cached_property
    def kinds(self) -> list[tuple[float, list[Part]]]:
        """Each kind of step with its share of all steps and its parts."""
        mix, kinds = self.mix, []
        if mix.pure:
            kinds.append((mix.pure, self._parts(Batch(max(mix.decoding, 1.0), mix.context))))
        for chunk in mix.chunks:
            others = mix.decoding - chunk.prompts
            decoding = max(others, 1.0) if others > WHOLE else 0.0
            parts = self._parts(Batch(decoding, mix.context, *_pieces(chunk, mix.cached)))
            kinds.append((chunk.share, [*self.steps.look(self.run, chunk.prompts), *parts]))
        return kinds

    def _parts(self, batch: Batch) -> list[Part]:
        """A step of the model; with a draft, the steps in which it proposes tokens, and one that checks them all."""
        if self.draft is None:
            return self.steps.parts(batch)
        again = replace(batch, prompts=0.0, decoding=max(batch.decoding, 1.0))
        proposals = [replace(part, asked=scaled(part.asked, self.run.draft_tokens - 1)) for part in self.draft.parts(again)]
        checked = self.steps.parts(replace(batch, queries=self.run.draft_tokens + 1))
        return [*(proposals if self.run.draft_tokens > 1 else []), *self.draft.parts(batch), *checked]

    @cached_property
    def settled(self) -> list[tuple[float, Settled]]:
        """One step of each kind on one device, settled, with its share of all steps: prompts, tokens, exchanges, and the host's time.

        Each kind of step lasts longer than a power cap takes to act, so each has an operating point of its own.
        """
        host, found = self._host(), []
        for share, parts in self.kinds:
            groups: dict[str, list[Asked]] = {"prefill": [], "decode": [], COMMUNICATION: [], HOST: host}
            for part in parts:
                if part.asked.kind in (COMMUNICATION, WAITING):
                    groups[COMMUNICATION].append(part.asked)
                    continue
                for name, portion in (("prefill", part.prompts), ("decode", 1 - part.prompts)):
                    if portion:
                        groups[name].append(scaled(part.asked, portion))
            used = {name: items for name, items in groups.items() if items}
            found.append((share, settle_together(used, self.steps.profile, self.steps.stack, sequences=self._sequences())))
        return found

    def phases(self, count: float = 1.0, devices: int = 1) -> list[Phase]:
        """`count` mean steps on `devices` that run alike."""
        return [repeated(phase, 1.0, devices) for share, step in self.settled for phase in step.phases(count * share)]

    def _sequences(self) -> float:
        return self.flight / self.steps.parallel.data / self.steps.parallel.pipeline

    def _host(self) -> list[Asked]:
        """The gaps of a step, and what the host takes longer than the device."""
        stack, sequences = self.steps.stack, self._sequences()
        gap = host_seconds(stack, sequences)
        beside = self.steps.serves.host_step + sequences * self.steps.serves.host_sequence
        device = sum(share * sum(self.steps.seconds(part) for part in parts) for share, parts in self.kinds)
        items = [Asked("waiting for the host", HOST, Demand(interval=gap))]
        handed = self._handing_over(sequences)
        if handed:
            items.append(Asked("waiting for inputs of all ranks", WAITING, Demand(interval=handed)))
            gap += handed
        if beside > device + gap:
            items.append(Asked("waiting for the scheduler", WAITING, Demand(interval=beside - device - gap)))
        return items

    def _handing_over(self, sequences: float) -> float:
        """Seconds in which one process hands a step's inputs to those of the other ranks."""
        ranks, serves = self.steps.parallel.tensor * self.steps.parallel.pipeline, self.steps.serves
        return ranks * (serves.rank_step + sequences * serves.rank_sequence) if ranks > 1 else 0.0

    @cached_property
    def step_times(self) -> list[tuple[float, float]]:
        """(share, seconds) of each kind of step."""
        return [(share, step.seconds) for share, step in self.settled]

    @cached_property
    def step_seconds(self) -> float:
        """Seconds of the mean step."""
        return sum(share * seconds for share, seconds in self.step_times) / sum(share for share, _ in self.step_times)

    @property
    def served(self) -> float:
        """Requests a second that one replica serves while it has requests."""
        return self.tokens / self.run.outputs.mean / self.step_seconds


def total_time(phases: Sequence[Phase]) -> float:
    """Seconds of all entries of `phases`."""
    return sum(entry.time for phase in phases for entry in phase.entries)


def total_energy(phases: Sequence[Phase]) -> float:
    """Joules of all entries of `phases`."""
    return sum(sum(entry.energy.values()) for phase in phases for entry in phase.entries)
