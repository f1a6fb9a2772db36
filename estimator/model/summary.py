"""A trace by module, and as the table that users of torchinfo know."""

from typing import Any

from tabulate import tabulate

from estimator.units import format_si

HEADERS = ("layer", "output shape", "parameters", "FLOP", "bytes", "FLOP/B")
ALIGN = ("left", "left", "right", "right", "right", "right")


def cut(path: str, depth: int | None) -> str:
    """The first `depth` names of a dotted path."""
    return ".".join(path.split(".")[:depth])


def by_module(trace: Any, depth: int | None) -> list[dict[str, Any]]:
    """See `Trace.by_module`."""
    rows = {row["name"]: row for row in trace.gather((cut(call.module, depth), call) for call in trace.calls)}
    shapes = {layer.path: layer for layer in trace.layers}
    held: dict[str, int] = {}
    for layer in trace.layers:
        name = cut(layer.path, depth)
        held[name] = held.get(name, 0) + layer.parameters
    empty = dict.fromkeys(("calls", "flop", "matmul_flop", "read", "write", "bytes"), 0)
    rows |= {name: {"name": name, **empty} for name, count in held.items() if count and name not in rows}
    for name, row in rows.items():
        layer = shapes.get(name)
        row |= {"parameters": held.get(name, 0), "kind": layer.kind if layer else "", "output": layer.output if layer else None}
        row["intensity"] = row["flop"] / row["bytes"] if row["bytes"] else None
    order = {layer.path: index for index, layer in enumerate(trace.layers)}
    return sorted(rows.values(), key=lambda row: order.get(row["name"], -1))


def summary(trace: Any, depth: int | None) -> str:
    """See `Trace.summary`."""
    rows = by_module(trace, depth)
    names = {row["name"] for row in rows}
    cells = [_cells(_label(row, names), row) for row in rows]
    total: dict[str, Any] = {key: sum(row[key] for row in rows) for key in ("flop", "bytes")}
    total |= {"parameters": trace.parameters, "output": None, "intensity": total["flop"] / total["bytes"] if total["bytes"] else None}
    table = tabulate([*cells, _cells(trace.name, total)], HEADERS, colalign=ALIGN, disable_numparse=True)
    frozen = trace.parameters - trace.trainable_parameters
    notes = [
        f"{trace.parameters:,} parameters ({frozen:,} of them frozen), {format_si(trace.parameter_bytes, 'B')}; "
        f"activations at most {format_si(trace.saved_bytes, 'B')}"
    ]
    if trace.coverage.unknown:
        notes.append("no rule for: " + ", ".join(f"{op} ({count})" for op, count in trace.coverage.unknown))
    return "\n".join([table, *notes])


def _label(row: dict[str, Any], names: set[str]) -> str:
    """The path from the nearest layer above that has a row, and the class; indented by how many of those there are."""
    path = row["name"]
    parts = path.split(".")
    above = [upper for end in range(1, len(parts)) if (upper := ".".join(parts[:end])) in names]
    own = path.removeprefix(f"{above[-1]}.") if above else path
    indent = "│ " * len(above) + "├─" if path else ""
    return f"{indent}{own or '(model)'}" + (f" ({row['kind']})" if row["kind"] else "")


def _cells(label: str, row: dict[str, Any]) -> tuple[str, ...]:
    shape = "" if row["output"] is None else str(list(row["output"]))
    intensity = "" if row["intensity"] is None else f"{row['intensity']:.3g}"
    return label, shape, f"{row['parameters']:,}", format_si(row["flop"], "FLOP"), format_si(row["bytes"], "B"), intensity
