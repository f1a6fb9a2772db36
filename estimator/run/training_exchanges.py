"""What devices exchange in a training step, and how much of it computation hides.

Inside layers: sums of tensor parallelism (Shoeybi et al., arXiv:1909.08053), keys and values of context parallelism (Liu et al.,
arXiv:2310.01889), tokens of experts (Lepikhin et al., arXiv:2006.16668), activations between pipeline stages (Narayanan et al.,
arXiv:2104.04473). Once a step, or with zero3 for each micro-batch, gradients and weights between replicas (Rajbhandari et al., ZeRO,
arXiv:1910.02054). Neighbouring ranks are those of tensor, then context, then data parallelism; stages lie farthest apart.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from estimator.hardware.cluster import Cluster
from estimator.hardware.collective import Collective, tiered
from estimator.hardware.schema import Profile
from estimator.model.work import BYTES
from estimator.run.adapters import trained_parameters
from estimator.run.parallel import Parallel
from estimator.run.practice import Practice
from estimator.run.settings import Training
from estimator.run.transformer import Shape

PER_LAYER = 4  # exact: two sums in forward and two in backward of each layer (Shoeybi et al., figure 4)
AGAIN = 2  # exact: what a recomputed forward pass repeats
EXPERT_TRIPS = 4  # exact: to the experts and back, forward and backward


@dataclass(frozen=True)
class Traffic:
    """A device's exchanges of one kind: the collectives of one occasion, and how often it comes in a step. `hides` behind what."""

    what: str
    parts: tuple[Collective, ...]
    occasions: float
    hides: str = ""

    @property
    def seconds(self) -> float:
        """Seconds of a step in which the device takes part, none of them hidden."""
        return self.occasions * sum(part.seconds for part in self.parts)


def traffics(
    shape: Shape, run: Training, parallel: Parallel, cluster: Cluster, profile: Profile, practice: Practice, microbatches: float
) -> Iterator[Traffic]:
    """All exchanges of one device in a step of `microbatches`."""
    wires = _Wires(shape, run, parallel, cluster, profile)
    stage = shape.layers / parallel.pipeline * microbatches
    again = AGAIN if run.recompute == "full" else 0
    yield wires.of("all_reduce", "sums of layers", wires.hidden, 1, parallel.tensor, stage * (PER_LAYER + again), "tensor")
    yield wires.of("all_gather", "keys and values", wires.cached, parallel.tensor, parallel.sequence, stage * (PER_LAYER - 1), "data")
    trips = EXPERT_TRIPS + again
    expert_stage = shape.expert_layers / parallel.pipeline * microbatches
    yield wires.of(
        "all_to_all", "tokens of experts", wires.hidden * shape.picks / parallel.tensor, 1, parallel.expert, expert_stage * trips, "tensor"
    )
    yield from wires.stages(microbatches)
    yield from wires.replicas(practice, microbatches)


class _Wires:
    """Sizes in bytes and tiers of links of one layout."""

    def __init__(self, shape: Shape, run: Training, parallel: Parallel, cluster: Cluster, profile: Profile) -> None:
        self.shape, self.run, self.parallel, self.cluster, self.profile = shape, run, parallel, cluster, profile
        self.width = BYTES[shape.model.format]
        tokens = run.batch * run.length / parallel.sequence
        self.hidden = tokens * shape.width * self.width
        self.cached = run.batch * run.length * float(shape.model.kv_bytes_per_token) / shape.layers / parallel.tensor

    def of(self, kind: str, what: str, size: float, stride: int, ranks: int, occasions: float, hides: str = "") -> Traffic:
        tiers = self.cluster.tiers(self.profile, stride, ranks) if ranks > 1 and size else []
        return Traffic(what, tiered(kind, size, tiers) if tiers else (), occasions, hides)

    def stages(self, microbatches: float) -> Iterator[Traffic]:
        """Activations forward and their gradients back, between each two neighbouring stretches of layers."""
        if self.parallel.pipeline > 1:
            stride = self.parallel.devices // self.parallel.pipeline
            size = self.hidden / self.parallel.tensor
            yield self.of("point_to_point", "activations between stages", size, stride, 2, 2 * microbatches * self.run.interleave)

    def replicas(self, practice: Practice, microbatches: float) -> Iterator[Traffic]:
        """Gradients summed over replicas; what is sharded is gathered anew."""
        own = trained_parameters(self.shape.model, self.run) / self.shape.model.parameters
        dense = self.shape.dense_parameters / (self.parallel.tensor * self.parallel.pipeline)
        experts = self.shape.expert_parameters / (self.parallel.pipeline * max(self.parallel.expert, self.parallel.tensor))
        ranks = self.parallel.data * self.parallel.sequence
        outside = max(ranks * self.parallel.tensor // self.parallel.expert, 1) if self.parallel.expert > 1 else ranks
        for what, parameters, copies in (("dense", dense, ranks), ("experts", experts, outside)):
            stride = self.parallel.devices // self.parallel.pipeline // copies
            yield from self._exchanged(what, parameters, parameters * own * float(practice.gradient_bytes), stride, copies, microbatches)

    def _exchanged(self, what: str, parameters: float, gradients: float, stride: int, ranks: int, microbatches: float) -> Iterator[Traffic]:
        if self.run.sharding == "none":
            yield self.of("all_reduce", f"gradients ({what})", gradients, stride, ranks, 1, "data")
            return
        full = self.run.sharding == "zero3"
        rounds = microbatches if full else 1
        yield self.of("reduce_scatter", f"gradients ({what})", gradients, stride, ranks, rounds, "data")
        yield self.of("all_gather", f"weights ({what})", parameters * self.width, stride, ranks, rounds * (2 if full else 1), "data")
