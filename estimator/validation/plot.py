"""Predicted against measured as one SVG picture, log–log, coloured by hardware. Written by hand: no drawing library is needed."""

from collections.abc import Sequence
from html import escape
from math import ceil, floor, log10

from estimator.units import format_si
from estimator.validation.score import Result

SIZE, MARGIN, LEGEND, LINE, DOT = 600, 70, 200, 18, 5  # exact: pixels
COLOURS = ("#1b6ca8", "#d1495b", "#3a7d44", "#8e5ea2", "#e08e0b", "#2aa198", "#6c757d", "#b5651d", "#c71585", "#556b2f")


def scatter(results: Sequence[Result]) -> str:
    """The picture's text: one dot per row whose energy end to end (or given the time) is known; hollow where it is not scored."""
    points = [
        (result, result.measured_energy, predicted)
        for result in results
        if result.measured_energy and (predicted := result.predicted_energy or result.energy_given_time)
    ]
    values = [value for _, measured, predicted in points for value in (measured, predicted)] or [1.0, 10.0]
    low, high = floor(log10(min(values))), max(ceil(log10(max(values))), floor(log10(min(values))) + 1)
    devices = sorted({result.hardware for result, _, _ in points})
    colour = {device: COLOURS[index % len(COLOURS)] for index, device in enumerate(devices)}

    def place(value: float) -> float:
        return (log10(value) - low) / (high - low) * (SIZE - 2 * MARGIN)

    width = SIZE + LEGEND
    size = f'width="{width}" height="{SIZE}" viewBox="0 0 {width} {SIZE}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{SIZE}" fill="white"/>',
        *_axes(low, high, place),
        *(
            _dot(MARGIN + place(measured), SIZE - MARGIN - place(predicted), colour[result.hardware], result)
            for result, measured, predicted in points
        ),
        *(_key(index, device, colour[device]) for index, device in enumerate(devices)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _axes(low: int, high: int, place) -> list[str]:
    start, end = MARGIN, SIZE - MARGIN
    parts = [f'<line x1="{start}" y1="{end}" x2="{end}" y2="{start}" stroke="black"><title>predicted = measured</title></line>']
    for decade in range(low, high + 1):
        at = place(10.0**decade)
        text = format_si(10.0**decade, "J")
        parts += [
            f'<line x1="{start + at:.1f}" y1="{start}" x2="{start + at:.1f}" y2="{end}" stroke="#ddd"/>',
            f'<line x1="{start}" y1="{end - at:.1f}" x2="{end}" y2="{end - at:.1f}" stroke="#ddd"/>',
            f'<text x="{start + at:.1f}" y="{end + LINE}" text-anchor="middle">{text}</text>',
            f'<text x="{start - 10}" y="{end - at:.1f}" text-anchor="end">{text}</text>',
        ]
    middle = SIZE / 2
    parts.append(f'<text x="{middle}" y="{SIZE - LINE}" text-anchor="middle">measured energy per unit</text>')
    parts.append(
        f'<text x="{LINE}" y="{middle}" text-anchor="middle" transform="rotate(-90 {LINE} {middle})">predicted energy per unit</text>'
    )
    return parts


def _dot(x: float, y: float, colour: str, result: Result) -> str:
    fill = colour if result.scored else "none"
    title = escape(f"{result.row_id}, {result.hardware}{', ' + result.why_not if result.why_not else ''}")
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2" fill="{fill}" stroke="{colour}" fill-opacity="0.5"><title>{title}</title></circle>'


def _key(index: int, device: str, colour: str) -> str:
    x, y = SIZE - MARGIN + LINE, MARGIN + index * LINE
    return f'<circle cx="{x}" cy="{y}" r="{DOT}" fill="{colour}"/><text x="{x + LINE}" y="{y + DOT}">{escape(device)}</text>'
