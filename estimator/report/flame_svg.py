"""A flame graph as one SVG: boxes as wide as their joules, phases above layers above kernels above components; titles on hover.

Every edge is a whole number of hundredths of a pixel, and a box ends where the last box inside it ends, so the widths that are
written add up exactly, row by row.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

from estimator.errors import InvalidSetting
from estimator.report.cuts import share_text
from estimator.report.flame import Node, tree
from estimator.report.table import heading
from estimator.units import format_si

if TYPE_CHECKING:
    from estimator.report.estimate import Estimate

WIDTH = 1200  # exact: pixels that stand for all of the energy
FINE = 100  # exact: hundredths of a pixel, the grid of all edges
ROW, GAP, MARGIN, TOP = 24, 1, 16, 64  # exact: pixels; a row, the line between two, around the graph, above it
BASELINE, SQUARE, PAD = 16, 11, 6  # exact: pixels; of text below the top of its row, of a colour sample, beside a label
LETTER = 6.7  # exact: pixels a letter takes at the size of the labels, generously
OTHER = "#b0a48f"  # a component that has no colour of its own
COLOURS = {
    "tensor units": "#b5382a", "vector units": "#c8553d", "instruction issue": "#a8643c", "register file": "#d97b4a",
    "shared memory / L1": "#e09a52", "L2 and on-chip network": "#e3b25c", "memory": "#d8a13a", "links": "#b78b2f",
    "clock tree": "#5b8db8", "leakage": "#7d7fb2", "memory idle": "#7fae9e", "board": "#93a1ad", "voltage regulators": "#a98fb0",
}  # fmt: skip
LEVELS = ("#dfe3e6", "#cfd8dc", "#e4e0d8", "#ece9e2")  # total, phase, layer, kernel
KINDS = ("total", "phase", "layer", "kernel", "component")
STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#1c2326}.head{font-size:15px;font-weight:600}.flame rect:hover{opacity:.7}"
    "@media (prefers-color-scheme:dark){.page{fill:#121212}.out{fill:#e6eaec}}"
)
LIGHT_OR_DARK = "<style>:root{color-scheme:light dark}</style>"


@dataclass(frozen=True)
class Box:
    """A rectangle: its node, its path of names, its row, and its edges in hundredths of a pixel."""

    node: Node
    path: tuple[str, ...]
    depth: int
    left: int
    right: int


def save(estimate: "Estimate", path: str | Path) -> None:
    """Write the graph by the suffix of `path`: `.svg`, or `.html` for the same in a page. Raises `InvalidSetting` for others."""
    suffix = Path(path).suffix.lower()
    if suffix not in (".svg", ".html"):
        raise InvalidSetting(f"save_flame({str(path)!r}): a flame graph is written as .svg or .html; name the file flame.svg or flame.html")
    text = svg(estimate)
    if suffix == ".html":
        head = f'<meta charset="utf-8"><title>{escape(f"{estimate.model} on {estimate.hardware}")}</title>{LIGHT_OR_DARK}'
        text = f'<!doctype html>\n<html lang="en"><head>{head}</head><body>{text}</body></html>\n'
    Path(path).write_text(text, encoding="utf-8")


def boxes(node: Node, left: int, right: int, path: tuple[str, ...] = (), depth: int = 0) -> Iterator[Box]:
    """The box of `node` between two edges and all boxes inside it; what is thinner than the grid is left out."""
    yield Box(node, path, depth, left, right)
    inner = [child for child in node.ordered() if child.energy]
    for child, a, b in zip(inner, *_edges([child.energy for child in inner], left, right)):
        if b > a:
            yield from boxes(child, a, b, (*path, child.name), depth + 1)


def _edges(parts: Sequence[float], left: int, right: int) -> tuple[list[int], list[int]]:
    """Left and right edges of parts that fill the space between two edges, each rounded to the grid; the last one ends at `right`."""
    if not parts:
        return [], []
    sums = list(accumulate(parts, initial=0.0))
    marks = [left + round((right - left) * part / sums[-1]) for part in sums]
    return marks[:-1], marks[1:]


def svg(estimate: "Estimate") -> str:
    """The graph with a heading and a legend of the components."""
    root = tree(estimate)
    drawn = "".join(_drawn(box, root.energy) for box in boxes(root, 0, WIDTH * FINE))
    title, *answer = heading(estimate).splitlines()
    line = next(text for text in answer if text.startswith("energy"))
    below = TOP + len(KINDS) * ROW + 2 * MARGIN
    legend, height = _legend(estimate, below)
    wide = WIDTH + 2 * MARGIN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {height}" width="{wide}" height="{height}">'
        f'<style>{STYLE}</style><rect class="page" width="{wide}" height="{height}" fill="#ffffff"/>'
        f'<text class="head out" x="{MARGIN}" y="24">{escape(title)}</text><text class="out" x="{MARGIN}" y="46">{escape(line)}</text>'
        f'<g class="flame" transform="translate({MARGIN} {TOP})">{drawn}</g>{legend}</svg>\n'
    )


def _drawn(box: Box, total: float) -> str:
    width = box.right - box.left
    name = " · ".join(box.path) or "total"
    told = f"{name}\n{format_si(box.node.energy, 'J')}, {box.node.energy / total:.2%} of all"
    top, level = box.depth * ROW, KINDS[box.depth]
    fill = COLOURS.get(box.node.name, OTHER) if level == "component" else LEVELS[box.depth]
    edge = f'stroke="#ffffff" stroke-width="{GAP / 2}"' if width > 2 * FINE else ""
    rectangle = f'<rect x="{_px(box.left)}" y="{top}" width="{_px(width)}" height="{ROW - GAP}" fill="{fill}" {edge}/>'
    room = int((width / FINE - 2 * PAD) / LETTER)
    label = _fitted(f"{box.node.name}", format_si(box.node.energy, "J"), room)
    text = f'<text x="{_px(box.left + FINE * PAD)}" y="{top + BASELINE}" pointer-events="none">{escape(label)}</text>' if label else ""
    return f'<g class="{level}"><title>{escape(told)}</title>{rectangle}{text}</g>'


def _fitted(name: str, joules: str, room: int) -> str:
    """Name and joules as far as there is room; nothing where not even a few letters fit."""
    if len(name) + 2 + len(joules) <= room:
        return f"{name}  {joules}"
    return name if len(name) <= room else f"{name[: room - 1]}…" if room > len("layer") else ""


def _px(hundredths: int) -> str:
    whole, rest = divmod(hundredths, FINE)
    return f"{whole}.{rest:02d}"


def _legend(estimate: "Estimate", top: int) -> tuple[str, int]:
    """Colour, name, joules and share of every component in columns, and the height of the picture."""
    rows, columns = estimate.rows("component"), 3  # exact: columns of the legend
    parts = []
    for index, row in enumerate(rows):
        x, y = MARGIN + index % columns * (WIDTH // columns), top + index // columns * ROW
        text = f"{row['name']}  {format_si(row['energy'], 'J')} ({share_text(row['share'])})"
        parts.append(f'<rect x="{x}" y="{y - SQUARE}" width="{SQUARE}" height="{SQUARE}" fill="{COLOURS.get(row["name"], OTHER)}"/>')
        parts.append(f'<text class="out" x="{x + ROW}" y="{y}">{escape(text)}</text>')
    return f'<g class="legend">{"".join(parts)}</g>', top + -(-len(rows) // columns) * ROW
