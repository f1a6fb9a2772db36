"""What fusion needs to know of a signature, worked out once for all its calls."""

from collections.abc import Iterable
from dataclasses import dataclass

from estimator.model import rules
from estimator.model.rules.access import reread_by
from estimator.model.rules.memory import FREE
from estimator.model.work import Dim, Signature, TensorSpec


@dataclass(frozen=True, slots=True)
class Operation:
    """A signature as a fusing compiler sees it.

    fuses: may share a launch with neighbours. ends_level: nothing that needs its result may share its launch: it is a
    library kernel, or its sums are complete only when the whole launch is. across: sums over other than the innermost
    dimensions, so it walks its input in another order than its neighbours. domain: size of its iteration space. recomputable:
    cheap enough that backward computes it again instead of reading it. normalises: a reduction and then an element-wise use of
    it, so what can be had again from its input and the `statistics` of its rows (None: its further outputs are these). reads,
    writes: what it touches of each input and output; rereads: what a second pass reads again.
    """

    signature: Signature
    free: bool
    fuses: bool
    ends_level: bool
    across: bool
    domain: Dim
    recomputable: bool
    normalises: bool
    statistics: TensorSpec | None
    reads: tuple[TensorSpec | None, ...]
    writes: tuple[TensorSpec, ...]
    rereads: tuple[TensorSpec, ...]


def operations(signatures: Iterable[Signature]) -> list[Operation]:
    """An `Operation` for each signature, in order."""
    return [_operation(signature) for signature in signatures]


def _operation(signature: Signature) -> Operation:
    fuses, kind = rules.fuses(signature.op), rules.kind_of(signature.op)
    tensors = signature.inputs if kind == "reduction" else signature.outputs
    domain = tensors[0].elements if tensors else 0
    reduces = kind == "reduction"
    to_one_number = reduces and domain != 1 and all(output.elements == 1 for output in signature.outputs)
    across = reduces and fuses and not _innermost(signature)
    normalises = reduces and fuses and signature.outputs[0].elements == domain
    return Operation(
        signature=signature,
        free=signature.op in FREE or signature.op.removesuffix("_") in FREE,
        fuses=fuses,
        ends_level=not fuses or to_one_number or across,
        across=across,
        domain=domain,
        recomputable=fuses and (normalises or not reduces),
        normalises=normalises,
        statistics=_row_statistics(signature) if normalises else None,
        reads=rules.reads_of(signature),
        writes=rules.writes_of(signature),
        rereads=reread_by(signature),
    )


def _innermost(signature: Signature) -> bool:
    """Whether the dimensions summed over, of those with more than one element, are the last ones; an operation without `dim` is."""
    shape, dims = signature.inputs[0].shape, signature.get("dim")
    if dims is None or dims == ():
        return True
    summed = {dim % len(shape) for dim in (dims if isinstance(dims, tuple) else (dims,)) if shape}
    kept_after = [axis not in summed for axis, size in enumerate(shape) if size != 1]
    return kept_after == sorted(kept_after, reverse=True)


def _row_statistics(signature: Signature) -> TensorSpec | None:
    """The largest element and the sum of every row of a softmax; other normalisations return theirs."""
    if len(signature.outputs) > 1 or not isinstance(signature.get("dim"), int):
        return None
    out = signature.outputs[0]
    axis = signature["dim"] % len(out.shape)
    return TensorSpec((*out.shape[:axis], 2, *out.shape[axis + 1 :]), out.format)
