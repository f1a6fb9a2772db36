"""Who makes and who uses each storage of a grouped trace."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from estimator.model.fusion.operation import Operation
from estimator.model.work import TensorSpec


class Dataflow:
    """Calls in groups, and the storages that pass between them.

    `read[i]` and `written[i]` are the storages that call i touches, and what of each. `made` holds the storages that come into
    being in the trace, as their first writer made them; all others were there before.
    """

    def __init__(self, calls: list[Any], operations: list[Operation], groups: list[list[int]], outputs: Iterable[int]) -> None:
        self.calls, self.outputs = calls, frozenset(outputs)
        self.operation = operations
        self.read = [_touched(call.reads, operation.reads) for call, operation in zip(calls, self.operation)]
        self.written = [_written(call, operation) for call, operation in zip(calls, self.operation)]
        self.groups = groups
        self.group_of = {index: number for number, members in enumerate(groups) for index in members}
        self.readers: dict[int, list[int]] = defaultdict(list)
        self.writers: dict[int, list[int]] = defaultdict(list)
        self.made: dict[int, TensorSpec] = {}
        for index, call in enumerate(calls):
            for storage in call.reads:
                self.readers[storage].append(index)
            for storage, spec in self.written[index]:
                if not self.writers[storage] and not self.readers[storage]:
                    self.made[storage] = spec
                self.writers[storage].append(index)

    def users_outside(self, storage: int, group: int) -> list[int]:
        """Calls of other groups that read a storage or write to it."""
        return [index for index in self.readers[storage] + self.writers[storage] if self.group_of[index] != group]

    def passes(self, group: int) -> int:
        """How often a group goes over its operands: twice where one of its operations needs sums before it can go on."""
        return 2 if any(self.operation[index].rereads for index in self.groups[group]) else 1

    def leaves(self, storage: int, group: int) -> bool:
        """Whether what `group` writes to a storage is needed: by others, after the trace, or (a gradient) by nobody in it."""
        kept = storage in self.outputs or storage not in self.made or not self.readers[storage]
        return kept or bool(self.users_outside(storage, group))


def _touched(storages: Iterable[int], specs: Iterable[TensorSpec | None]) -> list[tuple[int, TensorSpec]]:
    return [(storage, spec) for storage, spec in zip(storages, specs) if spec is not None]


def _written(call: Any, operation: Operation) -> list[tuple[int, TensorSpec]]:
    """What a call overwrites without returning it looks as it was read."""
    returned, further = _touched(call.writes, operation.writes), call.writes[len(operation.writes) :]
    if not further:
        return returned
    looks = dict(zip(call.reads, operation.signature.inputs))
    return returned + [(storage, looks[storage]) for storage in further if storage in looks]
