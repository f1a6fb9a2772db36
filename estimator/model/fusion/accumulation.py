"""Sums that a matrix product does on its way out: C + A B in one library call.

Where the gradients of a weight with two users are added, one of them fresh from a product of the same two dimensions, the
product takes the other as its starting value (β = 1 in BLAS; torch's compiler rewrites the pair as `addmm`). A sum that goes on
into element-wise operations is left to them.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from estimator.model.fusion.operation import Operation

PRODUCT, SUM = "aten.mm", "aten.add"


def accumulations(calls: list[Any], operations: list[Operation], outputs: Iterable[int]) -> dict[int, int]:
    """Index of each addition that a product takes over, with the index of that product."""
    users: dict[int, list[int]] = defaultdict(list)
    for index, call in enumerate(calls):
        for storage in (*call.reads, *call.writes):
            users[storage].append(index)
    kept, found = frozenset(outputs), {}
    for index, call in enumerate(calls):
        if operations[index].signature.op == PRODUCT and call.writes[0] not in kept:
            other = [user for user in users[call.writes[0]] if user != index]
            if len(other) == 1 and other[0] not in found and _is_sum_of_such(index, other[0], calls, operations):
                further = [user for user in users[calls[other[0]].writes[0]] if calls[user].phase == call.phase and user != other[0]]
                if not any(operations[user].fuses for user in further):
                    found[other[0]] = index
    return found


def _is_sum_of_such(product: int, addition: int, calls: list[Any], operations: list[Operation]) -> bool:
    """Whether the second call adds matrices of the first one's shape, in its phase."""
    result, signature = operations[product].signature.outputs[0], operations[addition].signature
    plain = signature.op == SUM and signature.get("alpha", 1) == 1 and calls[product].phase == calls[addition].phase
    return plain and len(signature.inputs) == 2 and all(spec == result for spec in (*signature.inputs, *signature.outputs))


def part_of_product(operation: Operation) -> Operation:
    """The addition as a library kernel does it: nothing joins it."""
    return replace(operation, fuses=False, ends_level=True, recomputable=False)
