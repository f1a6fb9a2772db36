"""What a group of fused calls moves between memory and chip.

A group reads each storage that it did not make itself once, however many members use it, and writes what somebody outside
uses; what backward computes again is not written, and read as what it is computed from.
"""

from collections import defaultdict
from collections.abc import Iterator

from estimator.model.fusion.dataflow import Dataflow
from estimator.model.fusion.recomputation import Sources, recomputed
from estimator.model.work import TensorSpec


class Traffic:
    """Reads and writes of the groups of a trace."""

    def __init__(self, flow: Dataflow) -> None:
        self.flow, self.backward = flow, recomputed(flow)
        self._first_needed: dict[int, list[int]] = defaultdict(list)
        for storage, (group, _) in self.backward.written.items():
            self._first_needed[group].append(storage)

    def is_plain(self, members: list[int]) -> bool:
        """Whether a group is one operation that moves what its rule says."""
        touched = (storage for index in members for storage in (*self.flow.calls[index].reads, *self.flow.calls[index].writes))
        return len(members) == 1 and not any(storage in self.backward.sources or storage in self.backward.kept for storage in touched)

    def reads(self, members: list[int]) -> tuple[TensorSpec, ...]:
        """What enters: every outside storage once, what a second pass needs twice; and the sources of what is written out here."""
        again = [spec for index in members for spec in self.flow.operation[index].rereads]
        if again:
            read = dict.fromkeys(storage for index in members for storage, _ in self.flow.read[index])
            again += [self.backward.written[storage][1] for storage in read if storage in self.backward.written]
        sources = (spec for storage in self._written_out(members) for spec in self.backward.sources[storage].values())
        return (*(spec for _, spec in self.entering(members)), *again, *sources)

    def entering(self, members: list[int]) -> Iterator[tuple[int, TensorSpec]]:
        """The storages that enter, and what of each."""
        entering: dict[int, list[TensorSpec]] = defaultdict(list)
        made: set[int] = set()
        for index in members:
            for storage, spec in self.flow.read[index]:
                if storage not in made:
                    for source, part in self._found_in(storage, spec).items():
                        entering[source].append(part)
            made.update(storage for storage, _ in self.flow.written[index])
        return ((storage, spec) for storage, parts in entering.items() for spec in self._together(storage, parts))

    def writes(self, members: list[int]) -> tuple[TensorSpec, ...]:
        """What leaves the group, and the row statistics that backward wants."""
        written = dict.fromkeys(storage for index in members for storage, _ in self.flow.written[index])
        statistics = (self.backward.statistics[storage] for storage in written if storage in self.backward.statistics)
        out = (self.backward.written[storage][1] for storage in self._written_out(members))
        return (*(spec for _, spec in self.leaving(members)), *statistics, *out)

    def leaving(self, members: list[int]) -> Iterator[tuple[int, TensorSpec]]:
        """The storages that leave, and what of each."""
        written: dict[int, TensorSpec] = {}
        for index in members:
            for storage, spec in self.flow.written[index]:
                written[storage] = max(spec, written.get(storage, spec), key=_bytes)
        group = self.flow.group_of[members[0]]
        return ((storage, spec) for storage, spec in written.items() if self._stored(storage, group))

    def _found_in(self, storage: int, spec: TensorSpec) -> Sources:
        """What is read to have a storage: itself, or what it is computed from each time."""
        return {storage: spec} if storage in self.backward.written else self.backward.sources.get(storage, {storage: spec})

    def _written_out(self, members: list[int]) -> list[int]:
        """The storages that this group is the first in backward to need, and that others or a second pass need again."""
        return self._first_needed.get(self.flow.group_of[members[0]], [])

    def _stored(self, storage: int, group: int) -> bool:
        if storage in self.backward.sources:
            return False
        return storage in self.backward.kept or self.flow.leaves(storage, group)

    def _together(self, storage: int, parts: list[TensorSpec]) -> tuple[TensorSpec, ...]:
        """Several accesses of one storage: all of it once if one of them is; else they are slices, together at most all of it."""
        largest = max(parts, key=_bytes)
        whole = self.flow.made.get(storage, largest)
        if largest.bytes >= whole.bytes:
            return (largest,)
        return tuple(parts) if sum(map(_bytes, parts)) < whole.bytes else (whole,)


def _bytes(spec: TensorSpec) -> float:
    return spec.bytes
