"""The joules of an estimate as a tree: phase → layer → kernel → component. `flame_svg.py` draws it."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from math import fsum
from typing import TYPE_CHECKING

from estimator.report.rows import UNPLACED
from estimator.run.entry import Entry

if TYPE_CHECKING:
    from estimator.report.estimate import Estimate

TOTAL = "total"


@dataclass
class Node:
    """A box of the flame graph. Only leaves, the components of a kernel, hold joules; a box has the sum of what is in it."""

    name: str
    inner: dict[str, "Node"] = field(default_factory=dict)
    leaves: list[float] = field(default_factory=list)

    def child(self, name: str) -> "Node":
        """The box called `name` inside this one, made where there was none."""
        return self.inner.setdefault(name, Node(name))

    @cached_property
    def energy(self) -> float:
        """J of all that is inside."""
        return fsum(self.joules())

    def joules(self) -> Iterator[float]:
        """Every single amount inside."""
        yield from self.leaves
        for node in self.inner.values():
            yield from node.joules()

    def ordered(self) -> list["Node"]:
        """The boxes inside, largest first."""
        return sorted(self.inner.values(), key=lambda node: -node.energy)


def tree(estimate: "Estimate") -> Node:
    """The whole estimate. Layers that share a kernel's record stand together, as `model.layers.0–31`."""
    root = Node(TOTAL)
    for phase in estimate.phases:
        for entry in phase.entries:
            layer, kernel = place(entry)
            box = root.child(phase.name).child(layer).child(kernel)
            for (component, _), joules in entry.energy.items():
                box.child(component).leaves.append(joules)
    return root


def place(entry: Entry) -> tuple[str, str]:
    """(layer, kernel): the module up to its first index, and the rest of it with the operation."""
    module = entry.module.replace("*", span(entry.layers), 1) if entry.layers else entry.module
    layer, rest = _split(module)
    operation = entry.name.partition(".")[2] or entry.name
    return layer or UNPLACED.get(entry.kind, "(model)"), f"{rest}: {operation}" if rest else operation


def span(layers: Sequence[int]) -> str:
    """`0–2,5` for 0, 1, 2 and 5."""
    runs = [[layer for _, layer in run] for _, run in groupby(enumerate(sorted(layers)), key=lambda pair: pair[1] - pair[0])]
    return ",".join(f"{run[0]}–{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)


def _split(module: str) -> tuple[str, str]:
    found = re.match(r"(?:.*?\.)?\d[\d–,]*(?=\.|$)", module)
    return (found.group(), module[found.end() + 1 :]) if found else (module, "")
