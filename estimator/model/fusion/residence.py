"""What the launch before has just written: a cache that holds it saves the way to memory and back."""

from collections.abc import Iterable, Sequence
from typing import Any

from estimator.model.fusion.merging import OPERANDS
from estimator.model.fusion.operation import Operation
from estimator.model.fusion.traffic import Traffic
from estimator.model.work import TensorSpec

Pairs = Iterable[tuple[int, TensorSpec]]


def resident_of_calls(calls: list[Any], operations: list[Operation]) -> list[tuple[TensorSpec, ...]]:
    """For calls launched one by one: what each reads of what the one before wrote."""
    return _resident(
        [_read(call, of) for call, of in zip(calls, operations)], [zip(call.writes, of.writes) for call, of in zip(calls, operations)]
    )


def resident_of_groups(groups: list[list[int]], traffic: Traffic) -> list[tuple[TensorSpec, ...]]:
    """For groups, each launched when the last of its members can run; products side by side can all run with the first."""
    flow = traffic.flow

    def launched(number: int) -> int:
        return max((i for i in groups[number] if flow.operation[i].signature.op not in OPERANDS), default=groups[number][0])

    order = sorted(range(len(groups)), key=launched)
    reads: list[Pairs] = []
    for number in order:
        first, *others = groups[number]
        reads.append(traffic.entering(groups[number]) if others else _read(flow.calls[first], flow.operation[first]))
    found = _resident(reads, [traffic.leaving(groups[number]) for number in order])
    return [specs for _, specs in sorted(zip(order, found), key=lambda pair: pair[0])]


def _read(call: Any, operation: Operation) -> Pairs:
    """Tensors of which a call reads anything, whole: how much of them a window leaves depends on sizes that are not known here."""
    inputs = zip(call.reads, operation.signature.inputs, operation.reads)
    return [(storage, whole) for storage, whole, part in inputs if part is not None]


def _resident(reads: Sequence[Pairs], writes: Sequence[Pairs]) -> list[tuple[TensorSpec, ...]]:
    before: dict[int, TensorSpec] = {}
    found = []
    for entering, leaving in zip(reads, writes):
        entered = {storage: spec for storage, spec in entering if storage in before}
        found.append(tuple(min(before[storage], spec, key=lambda part: part.bytes) for storage, spec in entered.items()))
        before = dict(leaving)
    return found
