"""The answer: predicted joules with where they go, what was assumed, and where every number comes from."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from math import fsum
from typing import Any

from estimator.errors import EstimatorError, unknown_name
from estimator.hardware.operating_point import OperatingPoint
from estimator.run.phase import Entry, Phase

GROUPS = ("phase", "component", "layer", "module", "op", "kernel", "event", "bound")


@dataclass(frozen=True)
class Source:
    """One number that the estimate used: dotted path, value in SI with its range, and where it comes from."""

    name: str
    value: float
    unit: str
    low: float
    high: float
    source: str
    status: str


@dataclass(frozen=True)
class Estimate:
    """Predicted energy, time and power of one run. Immutable; all figures are SI floats. Made by `estimator.estimate`.

    `tokens`, `samples` and `steps` are 0 where the run has none. `coverage` maps each operation without a rule to how often
    it was met (empty: every operation was counted exactly).
    """

    model: str
    hardware: str
    stack: str
    run: dict[str, Any]
    phases: tuple[Phase, ...]
    tokens: int = 0
    samples: int = 0
    steps: int = 0
    parameters: int = 0
    coverage: dict[str, int] | None = None
    assumptions: tuple[str, ...] = ()
    numbers: tuple[Source, ...] = ()

    @cached_property
    def energy(self) -> float:
        """Joules of the whole run, at the board of the device."""
        return fsum(joules for _, entry in self._entries() for joules in entry.energy.values())

    @cached_property
    def time(self) -> float:
        """Seconds of the whole run."""
        return fsum(entry.time for _, entry in self._entries())

    @property
    def power(self) -> float:
        """Mean power in W."""
        return self.energy / self.time

    @property
    def flop(self) -> float:
        """FLOP executed: matrix, vector and special-function work, masked blocks skipped."""
        return fsum(entry.flop for _, entry in self._entries())

    @property
    def matmul_flop(self) -> float:
        """Multiply-adds × 2 of matrix products, convolutions and attention, masks counted dense."""
        return fsum(entry.matmul_flop for _, entry in self._entries())

    @property
    def traffic(self) -> dict[str, float]:
        """Bytes that crossed each memory level: register, shared, l2, memory."""
        return _sum_maps(entry.traffic for _, entry in self._entries())

    @property
    def switching_events(self) -> dict[str, float]:
        """Switching events by kind, and their `total`."""
        kinds: defaultdict[str, float] = defaultdict(float)
        for _, entry in self._entries():
            for (_, event), count in entry.events.items():
                kinds[event] += count
        return dict(kinds) | {"total": fsum(kinds.values())}

    @property
    def energy_per_token(self) -> float:
        """Joules per token: output tokens of inference, trained tokens of training. Raises where the run has no tokens."""
        return self.energy / self._count("tokens")

    @property
    def energy_per_sample(self) -> float:
        """Joules per sample: sequence, image or request."""
        return self.energy / self._count("samples")

    @property
    def energy_per_step(self) -> float:
        """Joules per optimizer step. Raises where the run has no steps."""
        return self.energy / self._count("steps")

    def figures(self) -> dict[str, float]:
        """The headline figures as a dict: energy, time, power, and joules per token, sample and step where there are any."""
        per = {"tokens": "energy_per_token", "samples": "energy_per_sample", "steps": "energy_per_step"}
        return {"energy": self.energy, "time": self.time, "power": self.power} | {
            figure: getattr(self, figure) for many, figure in per.items() if getattr(self, many)
        }

    def _count(self, what: str) -> int:
        count = getattr(self, what)
        if not count:
            raise EstimatorError(f"this run has no {what}; use .energy, or another run")
        return count

    def _entries(self) -> Iterator[tuple[Phase, Entry]]:
        return ((phase, entry) for phase in self.phases for entry in phase.entries)

    def rows(self, by: str = "phase") -> list[dict[str, Any]]:
        """The joules grouped: a list of dicts with `name`, `energy` (J), `share`, largest first; the energies sum to `energy`.

        `by` is one of phase, component, layer, module, op, kernel, event, bound. Groups other than component and event also
        have `time` (s), `launches`, `flop` and `memory_bytes`. Raises `UnknownName`.
        """
        if by not in GROUPS:
            raise unknown_name("grouping", by, GROUPS, "Pass one of these as by=….")
        if by in ("component", "event"):
            return self._rows_by_event(0 if by == "component" else 1)
        groups: defaultdict[str, list[tuple[float, Entry]]] = defaultdict(list)
        for phase, entry in self._entries():
            for name, share in _NAMES[by](phase, entry):
                groups[name].append((share, entry))
        return _ranked([_row(name, parts) for name, parts in groups.items()], self.energy, keep_order=by == "phase")

    def _rows_by_event(self, index: int) -> list[dict[str, Any]]:
        joules: defaultdict[str, list[float]] = defaultdict(list)
        counts: Counter[str] = Counter()
        for _, entry in self._entries():
            for key, value in entry.energy.items():
                joules[key[index]].append(value)
            for key, count in entry.events.items():
                counts[key[index]] += count  # type: ignore[assignment]
        rows = [{"name": name, "energy": fsum(values), "events": float(counts[name])} for name, values in joules.items()]
        return _ranked(rows, self.energy)

    def sources(self) -> list[dict[str, Any]]:
        """Every number used, with value, range, source and status (datasheet, measured, derived, assumed)."""
        return [asdict(number) for number in self.numbers]

    def table(self) -> str:
        """The estimate as text."""
        from estimator.report.table import render

        return render(self)

    def to_json(self) -> str:
        """All of it as JSON; `Estimate.from_json` reads it back to an equal estimate."""
        data = {name: getattr(self, name) for name in self.__dataclass_fields__ if name not in ("phases", "numbers")}
        data["numbers"] = [asdict(number) for number in self.numbers]
        data["phases"] = [_phase_to_dict(phase) for phase in self.phases]
        return json.dumps(data)

    @classmethod
    def from_json(cls, text: str) -> "Estimate":
        """Read what `to_json` wrote. Executes nothing."""
        data = json.loads(text)
        data["phases"] = tuple(_phase_from_dict(phase) for phase in data["phases"])
        data["numbers"] = tuple(Source(**number) for number in data["numbers"])
        data["assumptions"] = tuple(data["assumptions"])
        return cls(**data)

    def __str__(self) -> str:
        return self.table()

    def _repr_html_(self) -> str:
        from estimator.report.html import render

        return render(self)


def _sum_maps(maps) -> dict[str, float]:
    total: defaultdict[str, float] = defaultdict(float)
    for one in maps:
        for key, value in one.items():
            total[key] += value
    return dict(total)


def _modules(entry: Entry) -> list[str]:
    if not entry.layers:
        return [entry.module or "(model)"]
    return [entry.module.replace("*", str(layer), 1) for layer in entry.layers]


def _layer_of(module: str) -> str:
    """The path up to its first layer index: `model.layers.7.mlp` → `model.layers.7`."""
    parts = module.split(".")
    index = next((i for i, part in enumerate(parts) if part.isdigit()), None)
    return module if index is None else ".".join(parts[: index + 1])


def _shared(names: list[str]) -> Iterator[tuple[str, float]]:
    return ((name, 1 / len(names)) for name in names)


_NAMES: dict[str, Callable[[Phase, Entry], Any]] = {
    "phase": lambda phase, entry: [(phase.name, 1.0)],
    "module": lambda phase, entry: _shared(_modules(entry)),
    "layer": lambda phase, entry: _shared([_layer_of(name) for name in _modules(entry)]),
    "op": lambda phase, entry: [(entry.name, 1.0)],
    "kernel": lambda phase, entry: [(f"{phase.name}: {entry.module or '(model)'}: {entry.name}", 1.0)],
    "bound": lambda phase, entry: [(entry.bound, 1.0)],
}


def _row(name: str, parts: list[tuple[float, Entry]]) -> dict[str, Any]:
    return {
        "name": name,
        "energy": fsum(share * joules for share, entry in parts for joules in entry.energy.values()),
        "time": fsum(share * entry.time for share, entry in parts),
        "launches": fsum(share * entry.launches for share, entry in parts),
        "flop": fsum(share * entry.flop for share, entry in parts),
        "memory_bytes": fsum(share * entry.traffic.get("memory", 0.0) for share, entry in parts),
    }


def _ranked(rows: list[dict[str, Any]], total: float, keep_order: bool = False) -> list[dict[str, Any]]:
    shared = [row | {"share": row["energy"] / total} for row in rows]
    return shared if keep_order else sorted(shared, key=lambda row: -row["energy"])


def _phase_to_dict(phase: Phase) -> dict[str, Any]:
    entries = []
    for entry in phase.entries:
        table = {name: getattr(entry, name) for name in entry.__dataclass_fields__}
        table["energy"] = [[*key, value] for key, value in entry.energy.items()]
        table["events"] = [[*key, value] for key, value in entry.events.items()]
        entries.append(table)
    return {"name": phase.name, "steps": phase.steps, "point": asdict(phase.point), "entries": entries}


def _phase_from_dict(table: dict[str, Any]) -> Phase:
    entries = []
    for given in table["entries"]:
        keyed = {name: {(a, b): value for a, b, value in given[name]} for name in ("energy", "events")}
        entries.append(Entry(**given | keyed | {"layers": tuple(given["layers"])}))
    return Phase(table["name"], table["steps"], OperatingPoint(**table["point"]), tuple(entries))
