"""Which part of its operands an operation touches in memory.

By default every tensor argument is read once and every output written once. The exceptions are registered here with
`touches`: gathers read only the rows that they pick, in-place fills do not read what they overwrite, a cache append touches
the new rows alone. Both the byte count of an operation and the traffic of a fused kernel follow from this.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from estimator.errors import InvalidSetting
from estimator.model.work import Dim, Signature, TensorSpec


@dataclass(frozen=True, slots=True)
class Touch:
    """The exceptions of one call.

    `reads` gives for an argument name the part that is read (None: nothing of it), `only` restricts the reads to the named
    arguments, `twice` names those that a second pass reads again; `writes` replaces the outputs.
    """

    reads: dict[str, TensorSpec | None] = field(default_factory=dict)
    writes: tuple[TensorSpec, ...] | None = None
    only: tuple[str, ...] | None = None
    twice: tuple[str, ...] = ()


NOTHING_SPECIAL = Touch()
TOUCHES: dict[str, Callable[[Signature], Touch]] = {}
TouchFunction = Callable[[Signature], Touch]


def touches(*ops: str) -> Callable[[TouchFunction], TouchFunction]:
    """Register what `ops` touch; each op at most once, else `InvalidSetting`."""

    def register(function: TouchFunction) -> TouchFunction:
        for op in ops:
            if op in TOUCHES:
                raise InvalidSetting(f"operation {op!r} has an access already ({TOUCHES[op].__qualname__}); keep one of the two")
            TOUCHES[op] = function
        return function

    return register


def touch(signature: Signature) -> Touch:
    """The access exceptions of a call; an in-place operation without its own follows its out-of-place form."""
    op = signature.op
    found = TOUCHES.get(op) or (TOUCHES.get(op[:-1]) if op.endswith("_") else None)
    return found(signature) if found else NOTHING_SPECIAL


def reads_of(signature: Signature) -> tuple[TensorSpec | None, ...]:
    """What is read of each of `signature.inputs`, in that order; None where nothing is. `out=` tensors are never read."""
    return _reads(signature, touch(signature))


def _reads(signature: Signature, special: Touch) -> tuple[TensorSpec | None, ...]:
    return tuple([_part(special, name, tensor) for name, value in signature.arguments for tensor in _tensors(value)])


def reread_by(signature: Signature) -> tuple[TensorSpec, ...]:
    """The tensors that a second pass over the data reads again."""
    return tuple(signature[name] for name in touch(signature).twice)


def _part(special: Touch, name: str, tensor: TensorSpec) -> TensorSpec | None:
    if name == "out" and tensor is not None and "out" not in special.reads:
        return None
    if special.only is not None and name not in special.only:
        return None
    return special.reads.get(name, tensor)


def writes_of(signature: Signature) -> tuple[TensorSpec, ...]:
    """What is written of the outputs."""
    return _writes(signature, touch(signature))


def _writes(signature: Signature, special: Touch) -> tuple[TensorSpec, ...]:
    return signature.outputs if special.writes is None else special.writes


def bytes_moved(signature: Signature) -> tuple[Dim, Dim]:
    """Bytes read and written by one call, each operand once."""
    special = touch(signature)
    read = sum([spec.bytes for spec in _reads(signature, special) if spec is not None])
    read = read + sum(signature[name].bytes for name in special.twice)
    return read, sum([spec.bytes for spec in _writes(signature, special)])


def _tensors(value: Any) -> Sequence[TensorSpec]:
    if isinstance(value, TensorSpec):
        return (value,)
    return [tensor for item in value for tensor in _tensors(item)] if isinstance(value, tuple) else ()
