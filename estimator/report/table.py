"""An estimate as text: the answer first, then where the joules go, then what was assumed."""

from typing import TYPE_CHECKING, Any

from tabulate import tabulate

from estimator.units import SECONDS_PER_HOUR, format_si

if TYPE_CHECKING:
    from estimator.report.estimate import Estimate

TOP_KERNELS = 8  # exact: rows shown


def render(estimate: "Estimate") -> str:
    """All parts of the report, separated by blank lines."""
    parts = [heading(estimate), phases(estimate), shares(estimate, "component"), kernels(estimate), notes(estimate)]
    return "\n\n".join(part for part in parts if part)


def heading(estimate: "Estimate") -> str:
    """Model, hardware, run and the headline figures."""
    settings = ", ".join(f"{name}={value}" for name, value in estimate.run.items() if name != "kind" and value is not None)
    lines = [
        f"{estimate.model} on {estimate.hardware}",
        f"{estimate.run['kind']}({settings}), stack {estimate.stack}",
        f"energy {format_si(estimate.energy, 'J')} ({format_si(estimate.energy / SECONDS_PER_HOUR, 'Wh')})"
        f"   time {format_si(estimate.time, 's')}   mean power {format_si(estimate.power, 'W')}",
    ]
    per = {"tokens": "token", "samples": "sample", "steps": "step"}
    counted = [
        f"{format_si(estimate.energy / getattr(estimate, many), 'J')} per {one}" for many, one in per.items() if getattr(estimate, many)
    ]
    return "\n".join([*lines, "   ".join(counted)]).rstrip()


def phases(estimate: "Estimate") -> str:
    """One line a phase, with its operating point."""
    rows = []
    for row in estimate.rows("phase"):
        points = [phase.point for phase in estimate.phases if row["name"] == phase.name]
        point = max(points, key=lambda p: p.clock)
        rows.append(
            [
                row["name"],
                format_si(row["energy"], "J"),
                f"{row['share']:.1%}",
                format_si(row["time"], "s"),
                format_si(row["energy"] / row["time"], "W"),
                format_si(point.clock, "Hz") + (" (capped)" if any(p.capped for p in points) else ""),
                format_si(point.voltage, "V"),
                format_si(row["flop"], "FLOP"),
                format_si(row["memory_bytes"], "B"),
            ]
        )
    return tabulate(
        rows, ["phase", "energy", "share", "time", "power", "clock", "voltage", "work", "memory traffic"], disable_numparse=True
    )


def shares(estimate: "Estimate", by: str) -> str:
    """Energy by component or event with its share."""
    rows = [[row["name"], format_si(row["energy"], "J"), f"{row['share']:.1%}"] for row in estimate.rows(by)]
    return tabulate(rows, [by, "energy", "share"], disable_numparse=True)


def kernels(estimate: "Estimate") -> str:
    """The kernels that take most."""
    rows: list[list[Any]] = []
    for row in estimate.rows("kernel")[:TOP_KERNELS]:
        rows.append(
            [row["name"], format_si(row["energy"], "J"), f"{row['share']:.1%}", format_si(row["time"], "s"), f"{row['launches']:.0f}"]
        )
    return tabulate(rows, ["largest kernels", "energy", "share", "time", "launches"], disable_numparse=True)


def notes(estimate: "Estimate") -> str:
    """Coverage, assumptions and a count of the sources."""
    unknown = estimate.coverage or {}
    lines = [
        f"operations without a rule: {', '.join(f'{op} ×{n}' for op, n in unknown.items())}" if unknown else "every operation was counted"
    ]
    lines += [f"assumed: {text}" for text in estimate.assumptions]
    by_status: dict[str, int] = {}
    for number in estimate.numbers:
        by_status[number.status] = by_status.get(number.status, 0) + 1
    if by_status:
        lines.append("numbers used: " + ", ".join(f"{count} {status}" for status, count in sorted(by_status.items())) + "; see .sources()")
    return "\n".join(lines)
