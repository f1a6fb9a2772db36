"""What a training step keeps in the memory of one device, by what it is.

Activations are those that the trace says backward reads, divided and computed again as the run does (Korthikanti et al., Reducing
Activation Recomputation in Large Transformer Models, arXiv:2205.05198).
"""

from estimator.model.saved import Part, Saved
from estimator.model.work import BYTES
from estimator.run.adapters import held_bytes, trained_parameters
from estimator.run.parallel import Parallel
from estimator.run.precision import HELD
from estimator.run.schedule import copies, in_flight
from estimator.run.settings import Training
from estimator.run.site import Site
from estimator.run.training_settings import RECOMPUTE
from estimator.run.transformer import Shape, optimizer_of, sizes_of, state_of
from estimator.units import format_si

GATHERED = 2  # exact: the layer that computes, and the next, whose weights are fetched meanwhile (Zhao et al., arXiv:2304.11277)


def memory_of(shape: Shape, run: Training, site: Site) -> dict[str, float]:
    """Bytes on the fullest device, of the first pipeline stage or the last: weights, gradients, optimizer state, activations."""
    model, parallel = shape.model, site.parallel
    own = _share(shape, parallel)
    trained = trained_parameters(model, run) / model.parameters
    twice = copies(run, parallel.pipeline)
    weights = held_bytes(model, run) * own * twice
    if run.sharding == "zero3":
        weights = weights / parallel.data + weights * min(GATHERED * parallel.pipeline / shape.layers, 1 - 1 / parallel.data)
    gradient = float(site.practice.gradient_bytes)
    return {
        "weights": weights,
        "gradients": model.parameters * trained * gradient * own * twice / (parallel.data if run.sharding in ("zero2", "zero3") else 1),
        "optimizer state": state_of(optimizer_of(model, run)) * trained * own / (parallel.data if run.sharding != "none" else 1),
        "activations": activations(shape, run, site),
    }


def _share(shape: Shape, parallel: Parallel) -> float:
    """Share of all weights that a device holds, before replicas share them."""
    experts = shape.expert_parameters / max(parallel.expert, parallel.tensor)
    return (shape.dense_parameters / parallel.tensor + experts) / parallel.pipeline / shape.model.parameters


def activations(shape: Shape, run: Training, site: Site) -> float:
    """Bytes saved for backward on the fullest device, and what a launch of backward needs beside them.

    The first stage holds as many micro-batches as are in flight, at most one for each stage (1F1B) and more where stages are
    interleaved (Korthikanti et al., section 4.2.3); the last holds one, and the logits.
    """
    parts, stages = activation_parts(shape, run, site), site.parallel.pipeline
    if not parts:
        return 0.0
    one = _of(parts, "layers") / stages  # kept of one micro-batch by a stage
    most = in_flight(run, stages)
    flight = min(run.step_samples / (run.batch * site.parallel.data) * most / stages, most)
    begins, ends = _of(parts, "before"), _of(parts, "after") + _of(parts, "after", working=True) + _logits(shape, run, site)
    working = _of(parts, "layers", working=True) + _of(parts, "before", working=True)
    if stages == 1:
        return begins + one + max(working, ends)
    return max(flight * one + min(flight, stages) * begins + working, one * most / stages + max(working, ends))


def usable(site: Site) -> float:
    """Bytes of a device that a run may fill."""
    return float(site.profile.memory.capacity) * float(site.practice.usable_memory)


def needed(shape: Shape, run: Training, site: Site) -> str:
    """What a device would need for the run, and may fill, in words."""
    return f"{format_si(sum(memory_of(shape, run, site).values()), 'B')} of {format_si(usable(site), 'B')}"


def choices(site: Site) -> list[str]:
    """Ways to recompute, the cheapest first; without scores in memory nothing is gained by recomputing attention alone."""
    return [how for how in RECOMPUTE if how != "selective" or float(site.practice.score_bytes)]


def splits_tokens(run: Training, site: Site) -> bool:
    """Whether ranks of tensor parallelism share the tokens of norms, dropout and residual sums as well: as asked, or as the stack does."""
    return bool(float(site.practice.sequence_parallel)) if run.sequence_parallel is None else run.sequence_parallel


def _of(parts: Saved, place: str, working: bool = False) -> float:
    return float(sum(size for part, size in parts.items() if part.place == place and part.working == working))


def activation_parts(shape: Shape, run: Training, site: Site) -> dict[Part, float]:
    """Bytes of one micro-batch on one rank of a group that shares it, through all layers; what is recomputed counts as working, once."""
    saved = shape.model.saved.get("eager" if site.stack.fusion == "eager" else "fused", {})
    narrow = _narrowed(shape, run)
    found: dict[Part, float] = {}
    for part, polynomial in saved.items():
        size = narrow * float(polynomial(**sizes_of(polynomial.symbols, run.batch, run.length)))
        found[part] = size / (site.parallel.sequence * (site.parallel.tensor if part.cut or splits_tokens(run, site) else 1))
    if found:
        found[Part("layers", cut=True)] = found.get(Part("layers", cut=True), 0.0)
        return _recomputed(found, _scores(shape, run, site), _inputs(shape, run, site), shape.layers, run.recompute)
    return found


def _recomputed(parts: dict[Part, float], scores: float, inputs: float, layers: int, how: str) -> dict[Part, float]:
    """Parts with what is left of the layers; one layer of what is computed again is there while its backward runs."""
    stays = {part: size for part, size in parts.items() if part.place != "layers" or part.working}
    mine = {part: size for part, size in parts.items() if part not in stays}
    everything = sum(mine.values()) + scores
    light = sum(size for part, size in mine.items() if part.light)
    kept = {"none": everything, "selective": everything - scores, "elementwise": everything - scores - light, "full": inputs}[how]
    again = Part("layers", cut=True, working=True)
    stays[again] = stays.get(again, 0.0) + (everything - (kept if how != "full" else 0.0)) / layers
    return stays | {Part("layers"): kept}


def _inputs(shape: Shape, run: Training, site: Site) -> float:
    """The input of each layer."""
    split = site.parallel.sequence * (site.parallel.tensor if splits_tokens(run, site) else 1)
    return run.batch * run.length * shape.width * shape.layers * BYTES[shape.model.format] * _narrowed(shape, run) / split


def _narrowed(shape: Shape, run: Training) -> float:
    """Bytes of an activation in the run's precision for each byte of it as traced."""
    held = HELD.get(run.precision, run.precision) if run.precision else shape.model.format
    return BYTES[held] / BYTES[shape.model.format]


def _logits(shape: Shape, run: Training, site: Site) -> float:
    """The softmax in fp32 that a loss keeps which is not fused (Korthikanti et al., section 4.3)."""
    if not float(site.practice.loss_passes) or not shape.logits.symbols:
        return 0.0
    count = shape.logits(**sizes_of(shape.logits.symbols, run.batch, run.length))
    return BYTES["fp32"] * float(count) / (site.parallel.tensor * site.parallel.sequence)


def _scores(shape: Shape, run: Training, site: Site) -> float:
    """Scores of attention where they go through memory: softmax, and dropout's result and mask."""
    each = float(site.practice.score_bytes)
    if not each:
        return 0.0
    pairs = shape.scores(**sizes_of(shape.scores.symbols, run.batch, run.length))
    return each * float(pairs) / (site.parallel.tensor * site.parallel.sequence)
