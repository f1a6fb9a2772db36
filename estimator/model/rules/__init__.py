"""Work of every operation: FLOP by unit and bytes moved, as rules over shapes. No torch, no numpy.

Add an operation with `rule` (see `registry` for the five lines), the part of its operands that it touches with `touches`.
"""

from estimator.model.rules import (
    alignment,
    attention,
    convolution,
    decomposition,
    matmul,
    memory,
    optimizer,
    packed,
    pointwise,
    pooling,
    random,
    recurrent,
    reduction,
    scatter,
    sorting,
    spectral,
)
from estimator.model.rules.access import Touch, reads_of, touches, writes_of
from estimator.model.rules.registry import RULES, Rule, format_of, fuses, is_known, kind_of, moved, rule, work_of, work_of_signature

__all__ = [
    "RULES", "Rule", "Touch", "format_of", "fuses", "is_known", "kind_of", "moved", "reads_of", "rule", "touches", "work_of",
    "work_of_signature", "writes_of",
]  # fmt: skip
_REGISTERED = (
    alignment, attention, convolution, decomposition, matmul, memory, optimizer, packed, pointwise, pooling, random, recurrent, reduction,
    scatter,
    sorting, spectral,
)  # fmt: skip
