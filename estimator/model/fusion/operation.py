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
    library kernel, or sums a whole tensor to one number. domain: size of its iteration space. recomputable: cheap enough that
    backward computes it again instead of reading it. reads, writes: what it touches of each input and output; rereads: what a
    second pass reads again.
    """

    signature: Signature
    free: bool
    fuses: bool
    ends_level: bool
    domain: Dim
    recomputable: bool
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
    to_one_number = kind == "reduction" and domain != 1 and all(output.elements == 1 for output in signature.outputs)
    return Operation(
        signature=signature,
        free=signature.op in FREE or signature.op.removesuffix("_") in FREE,
        fuses=fuses,
        ends_level=not fuses or to_one_number,
        domain=domain,
        recomputable=fuses and kind != "reduction",
        reads=rules.reads_of(signature),
        writes=rules.writes_of(signature),
        rereads=reread_by(signature),
    )
