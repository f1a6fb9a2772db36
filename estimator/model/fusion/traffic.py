"""What a group of fused calls moves between memory and chip.

A group reads each storage that it did not make itself once, however many members use it, and writes what somebody outside
uses. What only backward's own fused groups would read again is not stored if it is cheap to recompute: those groups read what
it is computed from instead (the min-cut recomputation of torch's compiler, reduced to one rule).
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from estimator.model.fusion.operation import Operation
from estimator.model.work import TensorSpec

Parts = dict[int, list[TensorSpec]]  # storage → what is touched of it, one entry per access


class Traffic:
    """Reads and writes of every group of a grouped trace."""

    def __init__(self, calls: list[Any], operations: list[Operation], groups: list[list[int]], outputs: Iterable[int]) -> None:
        self.calls, self.outputs = calls, frozenset(outputs)
        self.operation = [operations[call.signature] for call in calls]
        self.group_of = {index: number for number, members in enumerate(groups) for index in members}
        self.readers, self.writers = defaultdict(list), defaultdict(list)
        self.made: dict[int, TensorSpec] = {}  # a storage of the trace's own, as its first writer made it
        for index, call in enumerate(calls):
            for storage in call.reads:
                self.readers[storage].append(index)
            for storage, spec in self._written(index):
                if not self.writers[storage] and not self.readers[storage]:
                    self.made[storage] = spec
                self.writers[storage].append(index)
        self.sources = {storage: self._read(groups[group]) for storage in self.made if (group := self._recomputed_in(storage)) is not None}

    def changed_by_recomputation(self, members: list[int]) -> bool:
        """Whether the group leaves out a result, or computes one again."""
        return any(storage in self.sources for index in members for storage in (*self.calls[index].reads, *self.calls[index].writes))

    def reads(self, members: list[int]) -> tuple[TensorSpec, ...]:
        """What enters: every outside storage once, what a second pass needs twice."""
        entering = {}
        for storage, specs in self._read(members).items():
            entering |= self.sources.get(storage, {storage: specs})
        again = (spec for index in members for spec in self.operation[index].rereads)
        return (*(spec for specs in entering.values() for spec in specs), *again)

    def writes(self, members: list[int]) -> tuple[TensorSpec, ...]:
        """What leaves: storages that others use, that existed before, or that nobody in the trace reads."""
        written: Parts = defaultdict(list)
        for index in members:
            for storage, spec in self._written(index):
                written[storage].append(spec)
        leaving = (storage for storage in written if storage not in self.sources and self._leaves(storage, self.group_of[members[0]]))
        return tuple(max(written[storage], key=lambda spec: spec.bytes) for storage in leaving)

    def _leaves(self, storage: int, group: int) -> bool:
        users = self.readers[storage] + self.writers[storage]
        outside = any(self.group_of[index] != group for index in users)
        return outside or not self.readers[storage] or storage in self.outputs or storage not in self.made

    def _read(self, members: list[int]) -> dict[int, tuple[TensorSpec, ...]]:
        """Storages from outside the group and what of each it needs."""
        touched: Parts = defaultdict(list)
        made = set()
        for index in members:
            for storage, spec in zip(self.calls[index].reads, self.operation[index].reads):
                if spec is not None and storage not in made:
                    touched[storage].append(spec)
            made.update(storage for storage, _ in self._written(index))
        return {storage: self._together(storage, parts) for storage, parts in touched.items()}

    def _together(self, storage: int, parts: list[TensorSpec]) -> tuple[TensorSpec, ...]:
        """Several accesses of one storage: the largest if it is all of it, else different slices, up to all of it."""
        largest = max(parts, key=lambda spec: spec.bytes)
        whole = self.made.get(storage, largest)
        return (largest,) if largest.bytes >= whole.bytes else tuple(parts) if sum(spec.bytes for spec in parts) < whole.bytes else (whole,)

    def _written(self, index: int) -> list[tuple[int, TensorSpec]]:
        """Storage and spec of all that a call writes; what it overwrites without returning it looks as it was read."""
        call, operation = self.calls[index], self.operation[index]
        returned = list(zip(call.writes, operation.writes))
        looks = dict(zip(call.reads, operation.signature.inputs))
        return returned + [(storage, looks[storage]) for storage in call.writes[len(operation.writes) :] if storage in looks]

    def _recomputed_in(self, storage: int) -> int | None:
        """The forward group that makes a storage which backward had better compute again; None where it is stored."""
        makers, readers = self.writers[storage], self.readers[storage]
        group = self.group_of[makers[0]]
        outside = [index for index in readers if self.group_of[index] != group]
        again = (
            bool(outside)
            and storage not in self.outputs
            and all(self._in_forward(index) and self.group_of[index] == group and self.operation[index].recomputable for index in makers)
            and all(not self._in_forward(index) and self.operation[index].fuses for index in outside)
        )
        return group if again else None

    def _in_forward(self, index: int) -> bool:
        return self.calls[index].phase == "forward"
