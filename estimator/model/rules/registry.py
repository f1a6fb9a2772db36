"""The one registry of operation rules: which work an operation asks for, and what kind of kernel runs it.

Adding an operation takes five lines:

    from estimator.model.rules import moved, rule

    @rule("mylib.swiglu")                                   # namespace.name, without the overload
    def swiglu(op):
        return moved(op, vector=3 * op.outputs[0].elements, special=2 * op.outputs[0].elements)

An in-place operation (`aten.add_`) follows the rule of its base name unless it has one of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass

from estimator.errors import InvalidSetting
from estimator.kept import kept
from estimator.model.rules.access import bytes_moved
from estimator.model.work import Dim, Kernel, MatrixProduct, Signature, Work

KINDS = ("matmul", "attention", "convolution", "pointwise", "reduction", "gather", "copy", "recurrence", "creation", "optimizer", "unknown")
FLOATING = ("fp64", "fp32", "tf32", "bf16", "fp16", "fp8_e4m3", "fp8_e5m2", "fp4")
REAL_FORMAT = {"complex64": "fp32", "complex128": "fp64"}

RuleFunction = Callable[[Signature], Work]


@dataclass(frozen=True, slots=True)
class Rule:
    """How an operation is costed: its work, its kernel's efficiency class, and whether a compiler fuses it with neighbours."""

    work: RuleFunction
    kind: str
    fuses: bool


RULES: dict[str, Rule] = {}
KEPT = 1024  # exact: signatures whose work is kept at hand
FUSING_KINDS = {"pointwise", "reduction", "gather", "copy", "creation"}


def rule(*ops: str, kind: str = "pointwise", fuses: bool | None = None) -> Callable[[RuleFunction], RuleFunction]:
    """Register the decorated function as the rule of `ops`.

    `kind` is one of `KINDS`. `fuses` says whether a compiler merges the operation with its neighbours; by default
    pointwise, reduction, gather, copy and creation do. Raises `InvalidSetting` on an unknown kind or a second rule for an op.
    """
    if kind not in KINDS:
        raise InvalidSetting(f"kind {kind!r} of {', '.join(ops)}: expected one of {', '.join(KINDS)}")

    def register(function: RuleFunction) -> RuleFunction:
        for op in ops:
            if op in RULES:
                owner = RULES[op].work
                raise InvalidSetting(
                    f"operation {op!r} has a rule already ({owner.__module__}.{owner.__qualname__}); an operation has exactly one. "
                    "Drop one of the two, or give yours another name."
                )
            RULES[op] = Rule(function, kind, kind in FUSING_KINDS if fuses is None else fuses)
        return function

    return register


def find(op: str) -> Rule | None:
    """The rule of `op`, or of its out-of-place form; None if there is neither."""
    return RULES.get(op) or (RULES.get(op[:-1]) if op.endswith("_") else None)


def is_known(op: str) -> bool:
    """Whether `op` has a rule; if not, its work is a guess that the coverage must list."""
    return find(op) is not None


def kind_of(op: str) -> str:
    """The efficiency class of the kernel that runs `op`, one of `KINDS`."""
    found = find(op)
    return found.kind if found else "unknown"


def fuses(op: str) -> bool:
    """Whether a compiler merges `op` with its neighbours; an unknown operation stays alone."""
    found = find(op)
    return found.fuses if found else False


def work_of_signature(signature: Signature) -> Work:
    """The work of one call. Without a rule: 1 vector FLOP per output element and every operand moved once."""
    found = find(signature.op)
    return _work(found.work if found else _guessed, signature)


@kept(KEPT)
def _work(function: RuleFunction, signature: Signature) -> Work:
    """What the rule says; kernels share signatures."""
    return function(signature)


def _guessed(signature: Signature) -> Work:
    return moved(signature, vector=sum(output.elements for output in signature.outputs))


def work_of(kernel: Kernel) -> Work:
    """The work of one launch: FLOP of all its operations, bytes of what it reads and writes.

    Raises `InvalidSetting` for a group of operations that does not say what it reads and writes.
    """
    works = [work_of_signature(signature) for signature in kernel.signatures]
    if (kernel.reads is None or kernel.writes is None) and len(works) != 1:
        raise InvalidSetting(
            f"kernel {kernel.name!r} has {len(works)} operations and no reads or writes; state both, for the operations share tensors"
        )
    return Work(
        tuple(product for work in works for product in work.products),
        sum([work.vector_flop for work in works]),
        sum([work.special_flop for work in works]),
        works[0].read if kernel.reads is None else sum([spec.bytes for spec in kernel.reads]),
        works[0].write if kernel.writes is None else sum([spec.bytes for spec in kernel.writes]),
    )


def moved(signature: Signature, products: tuple[MatrixProduct, ...] = (), vector: Dim = 0, special: Dim = 0) -> Work:
    """`Work` of the given FLOP with the bytes that `signature` moves (see `access`)."""
    read, write = bytes_moved(signature)
    return Work(tuple(products), vector, special, read, write)


def format_of(signature: Signature) -> str:
    """The number format of the arithmetic: that of the first floating input or output, else of the first tensor.

    Complex numbers count in the format of their parts, an optimizer step in that of its states; without any tensor it is fp32.
    """
    if signature.get("state_format"):
        return signature["state_format"]
    formats = [REAL_FORMAT.get(tensor.format, tensor.format) for tensor in (*signature.inputs, *signature.outputs)]
    return next((name for name in formats if name in FLOATING), formats[0] if formats else "fp32")
