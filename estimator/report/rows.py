"""Joules grouped by phase, component, layer, module, operation, kernel, event or bound; every grouping sums to the total."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from math import fsum
from typing import Any

from estimator.errors import unknown_name
from estimator.run.entry import Entry
from estimator.run.phase import Phase

Row = dict[str, Any]
WHOLE = "(run)"  # what a run without stages is
IN_ORDER = ("phase", "stage")
UNPLACED = {"host": "(host)", "optimizer": "(optimizer)"}  # what belongs to no module, by kind; else it is the model's own


def grouped(phases: Sequence[Phase], by: str) -> list[Row]:
    """Rows with `name`, `energy` and `share`, largest first (phases and stages in the order they run); raises `UnknownName`."""
    if by not in GROUPS:
        raise unknown_name("grouping", by, GROUPS, "Pass one of these as by=….")
    if by in EVENT_KEYS:
        return _ranked(_by_event(phases, EVENT_KEYS.index(by)))
    groups: defaultdict[str, list[tuple[float, Entry]]] = defaultdict(list)
    for phase in phases:
        for entry in phase.entries:
            for name, share in _NAMES[by](phase, entry):
                groups[name].append((share, entry))
    rows = [_row(name, parts) for name, parts in groups.items()]
    return _ranked(rows, in_order=by in IN_ORDER)


def _by_event(phases: Sequence[Phase], index: int) -> list[Row]:
    joules: defaultdict[str, list[float]] = defaultdict(list)
    counts: defaultdict[str, list[float]] = defaultdict(list)
    for entry in (entry for phase in phases for entry in phase.entries):
        for key, value in entry.energy.items():
            joules[key[index]].append(value)
        for key, count in entry.events.items():
            counts[key[index]].append(count)
    return [{"name": name, "energy": fsum(values), "events": fsum(counts[name])} for name, values in joules.items()]


def _modules(entry: Entry) -> list[str]:
    if not entry.layers:
        return [entry.module or UNPLACED.get(entry.kind, "(model)")]
    return [entry.module.replace("*", str(layer), 1) for layer in entry.layers]


def _layer_of(module: str) -> str:
    """The path up to its first layer index: `model.layers.7.mlp` → `model.layers.7`."""
    parts = module.split(".")
    index = next((i for i, part in enumerate(parts) if part.isdigit()), None)
    return module if index is None else ".".join(parts[: index + 1])


def kernel_name(phase: Phase, entry: Entry) -> str:
    """What `rows("kernel")` calls a kernel: phase, module and operation."""
    return f"{phase.name}: {entry.module if entry.layers else _modules(entry)[0]}: {entry.name}"


def _shared(names: list[str]) -> Iterator[tuple[str, float]]:
    return ((name, 1 / len(names)) for name in names)


_NAMES: dict[str, Callable[[Phase, Entry], Any]] = {
    "phase": lambda phase, entry: [(phase.name, 1.0)],
    "stage": lambda phase, entry: [(phase.stage or WHOLE, 1.0)],
    "module": lambda phase, entry: _shared(_modules(entry)),
    "layer": lambda phase, entry: _shared([_layer_of(name) for name in _modules(entry)]),
    "op": lambda phase, entry: [(entry.name, 1.0)],
    "kernel": lambda phase, entry: [(kernel_name(phase, entry), 1.0)],
    "bound": lambda phase, entry: [(entry.bound, 1.0)],
}


def _row(name: str, parts: list[tuple[float, Entry]]) -> Row:
    return {
        "name": name,
        "energy": fsum(share * joules for share, entry in parts for joules in entry.energy.values()),
        "time": fsum(share * entry.time for share, entry in parts),
        "launches": fsum(share * entry.launches for share, entry in parts),
        "flop": fsum(share * entry.flop for share, entry in parts),
        "memory_bytes": fsum(share * entry.traffic.get("memory", 0.0) for share, entry in parts),
    }


def _ranked(rows: list[Row], in_order: bool = False) -> list[Row]:
    total = fsum(row["energy"] for row in rows)
    shared = [row | {"share": row["energy"] / total} for row in rows]
    return shared if in_order else sorted(shared, key=lambda row: -row["energy"])


EVENT_KEYS = ("component", "event")  # in the order of an entry's keys
GROUPS = (*EVENT_KEYS, *_NAMES)


def timeline(phases: Sequence[Phase]) -> list[Row]:
    """Phases in order with `name`, `stage`, `start` (s), `time` (s), `energy` (J) and `power` (W): those of all steps put together."""
    rows: list[Row] = []
    start = 0.0
    for phase in phases:
        time = fsum(entry.time for entry in phase.entries)
        energy = fsum(joules for entry in phase.entries for joules in entry.energy.values())
        power = energy / time if time else 0.0
        rows.append({"name": phase.name, "stage": phase.stage, "start": start, "time": time, "energy": energy, "power": power})
        start += time
    return rows
