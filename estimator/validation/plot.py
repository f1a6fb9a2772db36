"""Predicted against measured as one SVG picture, log–log, coloured by hardware. Written by hand: no drawing library is needed."""

from collections import Counter
from collections.abc import Callable, Sequence
from html import escape
from math import ceil, floor, log10

from estimator.units import format_si
from estimator.validation.score import Result

SIDE, LEFT, TOP, BELOW, LEGEND, LINE = 560, 80, 50, 60, 210, 18  # exact: pixels
COLOURS = (
    "#1b6ca8", "#d1495b", "#3a7d44", "#8e5ea2", "#e08e0b", "#2aa198", "#6c757d", "#b5651d", "#c71585", "#7a8b00", "#00a5cf", "#444444",
)  # fmt: skip
BAND = 2  # dashed lines: predicted twice, or half, of what was measured
Place = Callable[[float], float]


def scatter(results: Sequence[Result]) -> str:
    """The picture's text: one mark per row whose energy end to end (or given the time) is known; hollow where it is not scored."""
    points = [
        (result, result.measured_energy, predicted)
        for result in results
        if result.measured_energy and (predicted := result.predicted_energy or result.energy_given_time)
    ]
    values = [value for _, measured, predicted in points for value in (measured, predicted)] or [1.0, 10.0]
    low = floor(log10(min(values)))
    high = max(ceil(log10(max(values))), low + 1)
    counts = Counter(result.hardware for result, _, _ in points)
    order = {device: index for index, device in enumerate(sorted(counts))}

    def place(value: float) -> float:
        return (log10(value) - low) / (high - low) * SIDE

    width, height = LEFT + SIDE + LEGEND, max(TOP + SIDE + BELOW, TOP + (len(counts) + 2) * LINE)
    scored = sum(result.scored for result, _, _ in points)
    title = f"{len(points)} rows, {scored} scored (filled); the line is predicted = measured, dashed a factor of {BAND}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
        ' font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="{LEFT}" y="{TOP - LINE}">{title}</text>',
        *_axes(low, high, place),
        *_lines(low, high, place),
        *(_mark(LEFT + place(x), TOP + SIDE - place(y), order[result.hardware], _title(result), result.scored) for result, x, y in points),
        *(_key(index, f"{device} ({counts[device]})") for device, index in order.items()),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _axes(low: int, high: int, place: Place) -> list[str]:
    bottom, parts = TOP + SIDE, []
    step = 1 + (high - low) // 10
    for decade in range(low, high + 1):
        x, y = LEFT + place(10.0**decade), bottom - place(10.0**decade)
        parts.append(f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{bottom}" stroke="#e4e4e4"/>')
        parts.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{LEFT + SIDE}" y2="{y:.1f}" stroke="#e4e4e4"/>')
        if (decade - low) % step == 0:
            text = format_si(10.0**decade, "J")
            parts.append(f'<text x="{x:.1f}" y="{bottom + LINE}" text-anchor="middle">{text}</text>')
            parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{text}</text>')  # exact: pixels
    middle = TOP + SIDE / 2
    parts.append(f'<rect x="{LEFT}" y="{TOP}" width="{SIDE}" height="{SIDE}" fill="none" stroke="#999"/>')
    parts.append(f'<text x="{LEFT + SIDE / 2}" y="{bottom + 2 * LINE + 10}" text-anchor="middle">measured energy per unit</text>')
    parts.append(
        f'<text x="{LINE}" y="{middle}" text-anchor="middle" transform="rotate(-90 {LINE} {middle})">predicted energy per unit</text>'
    )
    return parts


def _lines(low: int, high: int, place: Place) -> list[str]:
    """Predicted = measured, and the band around it, cut at the frame."""
    parts = []
    for factor in (BAND, 1 / BAND, 1):
        style = 'stroke="black"' if factor == 1 else 'stroke="#888" stroke-dasharray="4 4"'
        start, end = 10.0**low * max(1, 1 / factor), 10.0**high * min(1, 1 / factor)
        (x1, y1), (x2, y2) = ((LEFT + place(x), TOP + SIDE - place(x * factor)) for x in (start, end))
        parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" {style}/>')
    return parts


def _title(result: Result) -> str:
    return escape(f"{result.row_id}, {result.hardware}{', ' + result.why_not if result.why_not else ''}")


def _mark(x: float, y: float, index: int, title: str, filled: bool, size: float = 2.5) -> str:  # exact: pixels
    """A circle, or a square for devices beyond the colours."""
    colour = COLOURS[index % len(COLOURS)]
    style = f'fill="{colour if filled else "none"}" stroke="{colour}" fill-opacity="0.45" stroke-opacity="0.8"'
    inside = f"{style}><title>{title}</title>"
    if index < len(COLOURS):
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size}" {inside}</circle>'
    return f'<rect x="{x - size:.1f}" y="{y - size:.1f}" width="{2 * size}" height="{2 * size}" {inside}</rect>'


def _key(index: int, text: str) -> str:
    x, y = LEFT + SIDE + LINE, TOP + (index + 1 / 2) * LINE
    return _mark(x, y, index, escape(text), True, size=4) + f'<text x="{x + LINE}" y="{y + 4}">{escape(text)}</text>'  # exact: pixels
