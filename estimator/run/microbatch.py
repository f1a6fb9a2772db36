"""One micro-batch on one device: forward, recomputation and backward of its share of the layers, priced once for any number of them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

from estimator.hardware.demand import Demand
from estimator.hardware.schema import Profile
from estimator.model.work import BYTES, PHASES, Kernel
from estimator.run.adapters import without_frozen
from estimator.run.convolution import with_relayouts
from estimator.run.entry import Asked
from estimator.run.formats import multiplies
from estimator.run.known import Known
from estimator.run.phase import Phase, asked, price_asked
from estimator.run.practice import Practice
from estimator.run.precision import in_precision
from estimator.run.settings import Training
from estimator.run.stack import Stack, terms
from estimator.run.transformer import Shape, is_expert, sizes_of

EXTENSIVE = (
    "macs",
    "mac_slots",
    "mac_padding",
    "vector_ops",
    "vector_waits",
    "special_ops",
    "integer_ops",
    "shared_bytes",
    "transposed_bytes",
    "l2_bytes",
    "memory_bytes",
)
ELEMENTWISE = ("pointwise", "reduction", "copy")
STREAM_RANK = 3  # exact: batch, tokens and width; heads have a dimension of their own
FORWARD, BACKWARD = 1 / 3, 2 / 3  # exact: backward touches scores and their gradients, twice what forward does
LOSS_SHARE = {"forward": 3 / 4, "backward": 1 / 4}  # exact: nine of the twelve passes over logits, and three


@dataclass(frozen=True)
class Piece:
    """What a device computes of a micro-batch: `batch` samples of `tokens`, cut in `share` parts by tensor and context parallelism.

    Norms, dropout and sums along the residual stream are cut in `tokens_share` parts: in fewer without sequence parallelism.
    """

    batch: int
    tokens: int
    share: int = 1
    expert: int = 1
    tokens_share: int = 1


def microbatch(
    shape: Shape, run: Training, piece: Piece, profile: Profile, stack: Stack, practice: Practice, known: Known | None = None
) -> dict[str, Phase]:
    """Phases of one micro-batch through all layers, by name; `known` keeps what other layouts need as well."""
    known = known or Known()
    paces = float(practice.kernel_share), float(practice.score_passes), float(practice.loss_passes)
    priced = {}
    for name, items in demands_of(shape, run, piece, profile, stack, practice, known):
        key = (piece, name, run.recompute if name == "recompute" else "", *paces)
        priced[name] = known.phase(key, partial(_price, name, items, profile, stack))
    return priced


def _price(name: str, items: Callable[[], list[Asked]], profile: Profile, stack: Stack) -> Phase:
    return price_asked(name, items(), profile, stack)


class Whole(NamedTuple):
    """A kernel before devices share it, with what its launches ask of the chip."""

    kernel: Kernel
    asks: tuple[Asked, ...]


def kernels_of(shape: Shape, run: Training, batch: int, tokens: int, stack: Stack) -> tuple[Kernel, ...]:
    """Kernels of forward and backward at a size, in the run's precision, without the gradients of frozen weights."""
    program = shape.model.programs["training"]
    fusion = stack.fusion if stack.fusion in program.kernels else "fused"  # a serving engine trains nothing: what a compiler would do
    kernels = program.at(fusion, **sizes_of(program.symbols, batch, tokens))
    return in_precision(without_frozen(kernels, program.kernels[fusion], run), run.precision)


def _whole(shape: Shape, run: Training, piece: Piece, profile: Profile, stack: Stack, known: Known) -> tuple[Whole, ...]:
    def at(batch: int) -> tuple[Kernel, ...]:
        return known.of(("kernels", batch, piece.tokens), lambda: kernels_of(shape, run, batch, piece.tokens, stack))

    kernels = at(piece.batch)
    if piece.expert > 1:  # each expert meets the tokens of all ranks that share them, and each rank holds a part of the experts
        wide = at(piece.batch * piece.expert)
        kernels = tuple(_one_of(many, piece.expert) if is_expert(one) else one for one, many in zip(kernels, wide))
    return tuple(Whole(one, tuple(asked(part, profile, stack) for part in with_relayouts(one, profile, stack))) for one in kernels)


def demands_of(
    shape: Shape, run: Training, piece: Piece, profile: Profile, stack: Stack, practice: Practice, known: Known
) -> Iterator[tuple[str, Callable[[], list[Asked]]]]:
    """What each phase of a micro-batch asks of the chip, by name."""
    whole = known.of(("whole", piece.batch, piece.tokens, piece.expert), lambda: _whole(shape, run, piece, profile, stack, known))
    eight_bits = run.precision == "fp8" and multiplies("fp8", profile)
    for name in PHASES:
        mine = _recomputed(whole, run, practice) if name == "recompute" else [one for one in whole if one.kernel.phase == name]
        if mine:
            yield name, partial(_items, mine, name, piece, stack, practice, eight_bits, shape)


def _items(mine: Sequence[Whole], name: str, piece: Piece, stack: Stack, practice: Practice, eight_bits: bool, shape: Shape) -> list[Asked]:
    def parts(kernel: Kernel) -> int:
        return piece.tokens_share if piece.tokens_share < piece.share and _along_stream(kernel, shape.width) else piece.share

    items = [_shared(ask, whole.kernel, parts(whole.kernel), practice, eight_bits) for whole in mine for ask in whole.asks]
    return [*items, *_scores([whole.kernel for whole in mine], name, piece, stack, practice), *_loss(shape, name, piece, stack, practice)]


def _one_of(kernel: Kernel, ranks: int) -> Kernel:
    return replace(kernel, count=kernel.count / ranks)


def _recomputed(whole: Iterable[Whole], run: Training, practice: Practice) -> list[Whole]:
    """What backward runs again of the layers' forward pass; element-wise kernels whose results are kept all the same count as well."""
    forward = [one for one in whole if one.kernel.phase == "forward" and one.kernel.layers]
    core = ("attention",) if run.recompute == "selective" or float(practice.score_bytes) else ()
    kinds = {"none": (), "selective": core, "elementwise": (*core, *ELEMENTWISE)}.get(run.recompute)
    return [one for one in forward if kinds is None or one.kernel.kind in kinds]


def _along_stream(kernel: Kernel, width: float) -> bool:
    """Whether a kernel works on rows of the residual stream: norms, dropout, sums."""
    specs = (spec for signature in kernel.signatures for spec in signature.outputs)
    largest = max(specs, key=lambda spec: spec.elements, default=None)
    return kernel.kind in ELEMENTWISE and largest is not None and len(largest.shape) <= STREAM_RANK and width in largest.shape


def _shared(one: Asked, kernel: Kernel, parts: int, practice: Practice, eight_bits: bool) -> Asked:
    """A device's part, at the pace of a training step."""
    demand = one.demand
    if eight_bits and kernel.kind == "matmul" and kernel.layers:
        demand = replace(demand, mac_format="fp8", unit="tensor")
    return replace(one, demand=slowed(divided(demand, parts), practice), flop=one.flop / parts, matmul_flop=one.matmul_flop / parts)


def divided(demand: Demand, parts: float) -> Demand:
    """What one of `parts` devices is asked that share a kernel, each with its columns, rows, heads or tokens."""
    return replace(demand, **{name: getattr(demand, name) / parts for name in EXTENSIVE})


def slowed(demand: Demand, practice: Practice) -> Demand:
    """The same work at the share of the best kernels' rate that kernels of a training step reach."""
    share = float(practice.kernel_share)
    passed = None if demand.chip_share is None else demand.chip_share * share
    return replace(demand, mac_slots=demand.mac_slots / share, memory_share=demand.memory_share * share, chip_share=passed)


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


def _loss(shape: Shape, name: str, piece: Piece, stack: Stack, practice: Practice) -> list[Asked]:
    """Passes over logits in memory where the loss is not fused."""
    logits = shape.logits(**sizes_of(shape.logits.symbols, piece.batch, piece.tokens)) if shape.logits.symbols else 0
    size = float(practice.loss_passes) * LOSS_SHARE.get(name, 0.0) * float(logits) * BYTES["fp32"] / piece.share
    if not size:
        return []
    return [Asked("loss", "pointwise", Demand(l2_bytes=size, memory_bytes=size, **terms("pointwise", stack)))]
