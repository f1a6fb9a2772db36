"""One micro-batch on one device: forward, recomputation and backward of its share of the layers, priced once for any number of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from estimator.hardware.demand import Demand
from estimator.hardware.schema import Profile
from estimator.model.work import BYTES, PHASES, Kernel
from estimator.run.adapters import without_frozen
from estimator.run.convolution import with_relayouts
from estimator.run.entry import Asked
from estimator.run.formats import multiplies
from estimator.run.phase import Phase, asked, price_asked
from estimator.run.practice import Practice
from estimator.run.precision import in_precision
from estimator.run.settings import Training
from estimator.run.stack import Stack, terms
from estimator.run.transformer import Shape, is_expert, sizes_of

EXTENSIVE = ("macs", "mac_slots", "vector_ops", "special_ops", "shared_bytes", "l2_bytes", "memory_bytes")
FORWARD, BACKWARD = 1 / 3, 2 / 3  # exact: backward touches scores and their gradients, twice what forward does


@dataclass(frozen=True)
class Piece:
    """What a device computes of a micro-batch: `batch` samples of `tokens`, cut in `share` parts by tensor and context parallelism."""

    batch: int
    tokens: int
    share: int = 1
    expert: int = 1


def microbatch(shape: Shape, run: Training, piece: Piece, profile: Profile, stack: Stack, practice: Practice) -> dict[str, Phase]:
    """Phases of one micro-batch through all layers, by name."""
    priced = {}
    for name, items in _items(shape, run, piece, profile, stack, practice):
        if items:
            priced[name] = price_asked(name, items, profile, stack)
    return priced


def kernels_of(shape: Shape, run: Training, batch: int, tokens: int, stack: Stack) -> tuple[Kernel, ...]:
    """Kernels of forward and backward at a size, in the run's precision, without the gradients of frozen weights."""
    program = shape.model.programs["training"]
    fusion = stack.fusion if stack.fusion in program.kernels else "fused"  # a serving engine trains nothing: what a compiler would do
    kernels = program.at(fusion, **sizes_of(program.symbols, batch, tokens))
    return in_precision(without_frozen(kernels, program.kernels[fusion], run), run.precision)


def _items(
    shape: Shape, run: Training, piece: Piece, profile: Profile, stack: Stack, practice: Practice
) -> Iterable[tuple[str, list[Asked]]]:
    kernels = kernels_of(shape, run, piece.batch, piece.tokens, stack)
    if piece.expert > 1:  # each expert meets the tokens of all ranks that share them, and each rank holds a part of the experts
        wide = kernels_of(shape, run, piece.batch * piece.expert, piece.tokens, stack)
        kernels = tuple(_one_of(many, piece.expert) if is_expert(one) else one for one, many in zip(kernels, wide))
    eight_bits = run.precision == "fp8" and multiplies("fp8", profile)
    for name in PHASES:
        mine = _recomputed(kernels, run) if name == "recompute" else [kernel for kernel in kernels if kernel.phase == name]
        items = [
            _asked(one, piece, profile, stack, practice, eight_bits) for kernel in mine for one in with_relayouts(kernel, profile, stack)
        ]
        yield name, [*items, *_scores(mine, name, piece, stack, practice)]


def _one_of(kernel: Kernel, ranks: int) -> Kernel:
    return replace(kernel, count=kernel.count / ranks)


def _recomputed(kernels: Sequence[Kernel], run: Training) -> list[Kernel]:
    forward = [kernel for kernel in kernels if kernel.phase == "forward" and kernel.layers]
    kinds = {"none": (), "selective": ("attention",)}.get(run.recompute)
    return [kernel for kernel in forward if kinds is None or kernel.kind in kinds]


def _asked(kernel: Kernel, piece: Piece, profile: Profile, stack: Stack, practice: Practice, eight_bits: bool) -> Asked:
    one = asked(kernel, profile, stack)
    demand = one.demand
    if eight_bits and kernel.kind == "matmul" and kernel.layers:
        demand = replace(demand, mac_format="fp8", unit="tensor")
    return replace(
        one, demand=slowed(divided(demand, piece.share), practice), flop=one.flop / piece.share, matmul_flop=one.matmul_flop / piece.share
    )


def divided(demand: Demand, parts: float) -> Demand:
    """What one of `parts` devices is asked that share a kernel, each with its columns, rows, heads or tokens."""
    return replace(demand, **{name: getattr(demand, name) / parts for name in EXTENSIVE})


def slowed(demand: Demand, practice: Practice) -> Demand:
    """The same work at the share of the best kernels' rate that kernels of a training step reach."""
    share = float(practice.kernel_share)
    return replace(demand, mac_slots=demand.mac_slots / share, memory_share=demand.memory_share * share)


def _scores(kernels: Iterable[Kernel], name: str, piece: Piece, stack: Stack, practice: Practice) -> list[Asked]:
    """Passes over attention scores in memory where attention is not fused."""
    passes = float(practice.score_passes) * (BACKWARD if name == "backward" else FORWARD)
    if not passes:
        return []
    items = []
    for kernel in kernels:
        if kernel.kind == "attention":
            query, key = kernel.signatures[0].get("query"), kernel.signatures[0].get("key")
            size = passes * query.shape[0] * query.shape[1] * query.shape[2] * key.shape[2] * BYTES[kernel.format] / piece.share
            demand = Demand(l2_bytes=size, memory_bytes=size, **terms("pointwise", stack))
            items.append(Asked("attention scores", "pointwise", demand, kernel.launches, kernel.module, kernel.layers))
    return items
