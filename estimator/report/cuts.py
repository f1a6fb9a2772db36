"""The joules of an estimate cut by phase, stage, component, layer and kernel; each cut sums to the total."""

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

from estimator.run.entry import HOST
from estimator.units import format_si

if TYPE_CHECKING:
    from estimator.report.estimate import Estimate

TOP = 8  # exact: rows shown before the rest are added up, and layers of one list shown before they share a row
SUMMED = ("energy", "share", "time", "launches", "flop", "memory_bytes")
NAMES = ("phase", "stage", "model", "component", "layer", "kernel", "module")  # titles of columns that hold names, not figures
TOTAL = "total"

Row = dict[str, Any]
Columns = dict[str, Callable[[Row], str]]


@dataclass(frozen=True)
class Table:
    """Rows of `Estimate.rows` and, by title, the text that stands in each column."""

    rows: list[Row]
    columns: Columns

    def cells(self) -> list[list[str]]:
        """The text of every cell."""
        return [[text(row) for text in self.columns.values()] for row in self.rows]


def tables(estimate: "Estimate") -> list[Table]:
    """All cuts: phases first, then stages where there are any."""
    staged = [stages(estimate)] if estimate.stages else []
    return [phases(estimate), *staged, components(estimate), layers(estimate), kernels(estimate)]


def _name(key: str) -> Callable[[Row], str]:
    return lambda row: row.get(key, "")


def _si(key: str, unit: str) -> Callable[[Row], str]:
    return lambda row: format_si(row[key], unit) if row.get(key) else ""


def share_text(share: float) -> str:
    """A share in tenths of a percent; what is there never reads as nothing."""
    text = f"{share:.1%}"
    return "<0.1%" if text == "0.0%" and share else text


ENERGY: Columns = {"energy": _si("energy", "J"), "share": lambda row: share_text(row["share"])}
WORK: Columns = {"work": _si("flop", "FLOP"), "DRAM traffic": _si("memory_bytes", "B")}


def phases(estimate: "Estimate") -> Table:
    """One row a phase with its mean operating point, waiting for the host last, and the total; a star marks the power cap."""
    rows = [row | _point(estimate, row) for row in estimate.rows("phase")]
    rows.sort(key=lambda row: row["name"] == HOST)
    rows.append(_sum(TOTAL, rows))
    rows = [row | {"power": row["energy"] / row["time"] if row["time"] else 0.0} for row in rows]  # none where it hides behind others
    point = {"time": _si("time", "s"), "power": _si("power", "W"), "clock": _si("clock", "Hz"), "voltage": _si("voltage", "V")}
    return Table(rows, {"phase": lambda row: row["name"] + "*" * row.get("capped", False)} | ENERGY | point | WORK)


def _point(estimate: "Estimate", row: Row) -> Row:
    points = [phase.point for phase in estimate.phases if phase.name == row["name"]]
    mean = {name: fmean(getattr(point, name) for point in points) for name in ("clock", "voltage")}
    return mean | {"capped": any(point.capped for point in points)}


def stages(estimate: "Estimate") -> Table:
    """One row a stage of a training run with what sets it apart, and the total; devices and batches are those of a step."""
    rows = [row | _stage(estimate.stages[row["name"]]) for row in estimate.rows("stage")]
    power = {"power": estimate.power, "mfu": estimate.mfu, "tokens": estimate.tokens, "steps": estimate.steps}
    rows.append(_sum(TOTAL, rows) | power)
    grown: Columns = {"model": _name("model")} if len({one.model for one in estimate.stages.values()}) > 1 else {}
    amounts: Columns = {"tokens": _si("tokens", "")} if estimate.tokens else {"steps": _count("steps")}
    shape: Columns = {"sequence": _count("sequence")} if estimate.tokens else {}
    shape |= {"batch": _count("batch"), "devices": _count("devices")}
    point: Columns = {"time": _si("time", "s"), "power": _si("power", "W"), "MFU": lambda row: f"{row['mfu']:.1%}" if row["mfu"] else ""}
    return Table(rows, {"stage": _name("name")} | grown | amounts | shape | ENERGY | point)


def _stage(one: "Estimate") -> Row:
    figures = {name: getattr(one, name) for name in ("model", "tokens", "steps", "devices", "power", "mfu")}
    return figures | {"sequence": one.run.get("sequence_tokens"), "batch": round(one.samples / one.steps) if one.samples else 0}


def _count(key: str) -> Callable[[Row], str]:
    return lambda row: f"{row[key]:,}" if row.get(key) else ""


def components(estimate: "Estimate") -> Table:
    """One row for each part of the chip and board that dissipates."""
    return Table(estimate.rows("component"), {"component": _name("name")} | ENERGY)


def layers(estimate: "Estimate") -> Table:
    """Layers by energy; a long list of layers shares a row."""
    lists: defaultdict[str, list[Row]] = defaultdict(list)
    for row in estimate.rows("layer"):
        lists[re.sub(r"(^|\.)\d+$", r"\1*", row["name"])].append(row)
    rows = [row for name, members in lists.items() for row in ([_span(name, members)] if len(members) > TOP else members)]
    return Table(_top(rows, "other layers"), {"layer": _name("name")} | ENERGY | {"time": _si("time", "s")} | WORK)


def _span(name: str, members: Sequence[Row]) -> Row:
    indices = [int(row["name"].rpartition(".")[2]) for row in members]
    return _sum(name.replace("*", f"{min(indices)}–{max(indices)}"), members)


def kernels(estimate: "Estimate") -> Table:
    """The kernels that take most, each summed over repeated layers. The names, which may be long, stand at the end."""
    alike: defaultdict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for row in estimate.rows("kernel"):
        phase, module, operation = row["name"].split(": ", 2)
        alike[phase, re.sub(r"\.\d+(?=\.|$)", ".*", module), operation.partition(".")[2] or operation].append(row)
    rows = [_sum(phase, members) | {"module": module, "kernel": kernel} for (phase, module, kernel), members in alike.items()]
    counts: Columns = {"time": _si("time", "s"), "launches": lambda row: f"{row['launches']:,.0f}"}
    return Table(_top(rows, "others"), {"phase": _name("name")} | ENERGY | counts | {"kernel": _name("kernel"), "module": _name("module")})


def _top(rows: list[Row], others: str) -> list[Row]:
    """The largest rows, and the sum of the others where there are at least two."""
    ranked = sorted(rows, key=lambda row: -row["energy"])
    return ranked if len(rows) <= TOP + 1 else [*ranked[:TOP], _sum(f"{len(rows) - TOP} {others}", ranked[TOP:])]


def _sum(name: str, rows: Sequence[Row]) -> Row:
    return {"name": name} | {key: sum(row[key] for row in rows) for key in SUMMED}
