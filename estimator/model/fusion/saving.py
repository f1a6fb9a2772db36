"""What a training step keeps for backward, by what could be done about it (see `Part`).

Kept is what launches of backward read and forward made or was given, weights apart: all of it where every operation is launched by
itself, and where a compiler fuses what it stores (see `recomputation`). A mask of dropout takes a byte for each element (Korthikanti et
al., arXiv:2205.05198, section 4.1).
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any

from estimator.model.fusion.cutting import cut_storages
from estimator.model.fusion.dataflow import Dataflow
from estimator.model.fusion.folding import layer_of
from estimator.model.fusion.traffic import Traffic
from estimator.model.rules import kind_of
from estimator.model.saved import Part
from estimator.model.work import TensorSpec

MASKS = "aten.bernoulli_"


class Saving:
    """The storages that a grouped trace keeps for backward; `compiled`: as a compiler does that sees both passes."""

    def __init__(self, flow: Dataflow, weights: Iterable[int], compiled: bool) -> None:
        self.flow, self.weights = flow, frozenset(weights)
        self.traffic = Traffic(flow) if compiled else None
        self.forward = [index for index, call in enumerate(flow.calls) if call.phase == "forward"]

    def parts(self, bound: bool = False) -> dict[Part, int]:
        """Bytes of each part; nothing for inference. `bound`: of what launches need, a bound that is the same sum at all sizes."""
        found: Counter[Part] = Counter()
        layered = [index for index in self.forward if self._layer(index) is not None]
        first = min(layered, default=0)
        for storage in self.kept:
            maker = self._maker(storage)
            place = "layers" if self._layer(maker) is not None else "before" if maker < first else "after"
            found[Part(place, abs(storage) in self.cut, storage in self.light)] += int(self._bytes(storage))
        return dict(found) | self._working(bound)

    @cached_property
    def kept(self) -> dict[int, TensorSpec]:
        """Each storage that is kept, and its largest part that is read; -n: the row statistics of what storage n would hold."""
        before = {storage for index in self.forward for storage in (*self.flow.calls[index].reads, *self.flow.calls[index].writes)}
        found: dict[int, TensorSpec] = {}
        for members in self.flow.groups:
            if self.flow.calls[members[0]].phase == "backward":
                for storage, spec in self._entering(members):
                    if abs(storage) in before and storage not in self.weights:
                        found[storage] = max(spec, found.get(storage, spec), key=lambda part: part.bytes)
        return found

    @cached_property
    def cut(self) -> set[int]:
        """Storages of which tensor parallelism leaves each rank a part."""
        return cut_storages(self.flow, self.weights)

    @cached_property
    def light(self) -> set[int]:
        """Kept storages that element-wise operations make of other kept ones; rows that were gathered would have to be sent again."""
        had, light = set(self.weights), set()
        for index in self.forward:
            operation = self.flow.operation[index]
            reads = {storage for storage, _ in self.flow.read[index]}
            had |= {storage for storage in reads if storage not in self.flow.made}
            again = operation.recomputable and kind_of(operation.signature.op) != "gather" and reads <= had
            for storage, _ in self.flow.written[index]:
                if again and storage in self.kept and reads - self.weights and self.flow.writers[storage] == [index]:
                    light.add(storage)
                if again or storage in self.kept or -storage in self.kept:
                    had.add(storage)
        return light

    def _working(self, bound: bool) -> dict[Part, int]:
        """The most that a launch of backward moves without its being kept, in each stack of layers and outside, and all together.

        `bound`: the most of each operation in each module, all together.
        """
        most: dict[tuple[str, str], int] = {}
        for members in self.flow.groups:
            call = self.flow.calls[members[0]]
            if call.phase == "backward":
                moved = dict(self._entering(members)) | dict(self._leaving(members))
                spare = (spec for storage, spec in moved.items() if storage not in self.kept and storage not in self.weights)
                size = sum(int(spec.bytes) for spec in spare if spec.elements not in self._weight_sizes)
                stack, layer = layer_of(call.module)
                place = "layers" if layer is not None else "before" if call.module in self._earlier else "after"
                alike = call.module.replace(f".{layer}", "") + self.flow.operation[members[0]].signature.op
                key = (place, alike if bound else stack if layer is not None else "")
                most[key] = max(most.get(key, 0), size)
        found: Counter[Part] = Counter()
        for (place, _), size in most.items():
            found[Part(place, cut=True, working=True)] += size
        return dict(found)

    @cached_property
    def _weight_sizes(self) -> set[Any]:
        """Elements of the weights, by which their gradients are known."""
        read = (pair for index in self.forward for pair in self.flow.read[index])
        return {spec.elements for storage, spec in read if storage in self.weights}

    @cached_property
    def _earlier(self) -> set[str]:
        """The modules that are through in forward before the last layer is."""
        last = {self.flow.calls[index].module: index for index in self.forward}
        layered = max((index for index in self.forward if self._layer(index) is not None), default=-1)
        return {module for module, index in last.items() if index < layered}

    def _layer(self, index: int) -> int | None:
        return layer_of(self.flow.calls[index].module)[1]

    def _entering(self, members: list[int]) -> Iterator[tuple[int, TensorSpec]]:
        if self.traffic:
            yield from self.traffic.entering(members)
        else:
            for index in members:
                yield from self.flow.read[index]

    def _leaving(self, members: list[int]) -> Iterator[tuple[int, TensorSpec]]:
        if self.traffic:
            yield from self.traffic.leaving(members)
        else:
            for index in members:
                yield from self.flow.written[index]

    def _maker(self, storage: int) -> int:
        """The call that made a storage; of what was given, the first that reads it."""
        touching = (self.flow.writers[abs(storage)] or []) + self.flow.readers[abs(storage)]
        return min(touching) if touching else 0

    def _bytes(self, storage: int) -> Any:
        """All of an allocation, of which backward may read a part."""
        spec = self.kept[storage]
        if storage > 0 and self.flow.operation[self._maker(storage)].signature.op == MASKS:
            return spec.elements
        return max(spec.bytes, self.flow.made[storage].bytes) if storage in self.flow.made else spec.bytes
