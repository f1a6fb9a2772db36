"""Who makes and who uses each storage of a grouped trace."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from estimator.model.fusion.operation import Operation
from estimator.model.work import TensorSpec


class Dataflow:
    """Calls in groups, and the storages that pass between them.

    `made` holds the storages that come into being in the trace, as their first writer made them; all others were there before.
    """

    def __init__(self, calls: list[Any], operations: list[Operation], groups: list[list[int]], outputs: Iterable[int]) -> None:
        self.calls, self.outputs = calls, frozenset(outputs)
        self.operation = [operations[call.signature] for call in calls]
        self.group_of = {index: number for number, members in enumerate(groups) for index in members}
        self.readers: dict[int, list[int]] = defaultdict(list)
        self.writers: dict[int, list[int]] = defaultdict(list)
        self.made: dict[int, TensorSpec] = {}
        for index, call in enumerate(calls):
            for storage in call.reads:
                self.readers[storage].append(index)
            for storage, spec in self.written(index):
                if not self.writers[storage] and not self.readers[storage]:
                    self.made[storage] = spec
                self.writers[storage].append(index)

    def read(self, index: int) -> list[tuple[int, TensorSpec]]:
        """Storage and spec of all that a call reads."""
        pairs = zip(self.calls[index].reads, self.operation[index].reads)
        return [(storage, spec) for storage, spec in pairs if spec is not None]

    def written(self, index: int) -> list[tuple[int, TensorSpec]]:
        """Storage and spec of all that a call writes; what it overwrites without returning it looks as it was read."""
        call, operation = self.calls[index], self.operation[index]
        looks = dict(zip(call.reads, operation.signature.inputs))
        further = call.writes[len(operation.writes) :]
        return [*zip(call.writes, operation.writes), *((storage, looks[storage]) for storage in further if storage in looks)]

    def users_outside(self, storage: int, group: int) -> list[int]:
        """Calls of other groups that read a storage or write to it."""
        return [index for index in self.readers[storage] + self.writers[storage] if self.group_of[index] != group]

    def leaves(self, storage: int, group: int) -> bool:
        """Whether what `group` writes to a storage is needed: by others, after the trace, or (a gradient) by nobody in it."""
        kept = storage in self.outputs or storage not in self.made or not self.readers[storage]
        return kept or bool(self.users_outside(storage, group))
