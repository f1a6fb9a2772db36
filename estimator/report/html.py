"""An estimate as a piece of HTML for notebooks: the same parts as the text, with bars for the shares."""

from html import escape
from typing import TYPE_CHECKING

from estimator.report.table import heading, notes
from estimator.units import format_si

if TYPE_CHECKING:
    from estimator.report.estimate import Estimate

BAR = 240  # exact: width in pixels of the longest bar


def render(estimate: "Estimate") -> str:
    """Heading, bars by phase, by component and by layer, and the notes; self-contained, no script."""
    title, *rest = heading(estimate).splitlines()
    parts = [f"<b>{escape(title)}</b>", *(f"<div>{escape(line)}</div>" for line in rest)]
    parts += [bars(estimate, by) for by in ("phase", "component", "layer")]
    parts.append(f"<details><summary>assumptions</summary><pre>{escape(notes(estimate))}</pre></details>")
    body = "".join(parts)
    return f'<div style="font-family:sans-serif;font-size:13px;line-height:1.5">{body}</div>'


def bars(estimate: "Estimate", by: str, top: int = 12) -> str:
    """One bar a row, the longest full width; what lies below the `top` rows is added up in a last row."""
    rows = estimate.rows(by)
    shown = [(row["name"], row["energy"]) for row in rows[:top]]
    if len(rows) > top:
        shown.append((f"{len(rows) - top} more", sum(row["energy"] for row in rows[top:])))
    longest = max(energy for _, energy in shown)
    lines = []
    for name, energy in shown:
        bar = f'<div style="background:#4878a8;height:10px;width:{BAR * energy / longest:.0f}px"></div>'
        cells = (escape(name), escape(format_si(energy, "J")), f"{energy / estimate.energy:.1%}")
        left = "".join(f'<td style="padding:0 8px;text-align:left">{cell}</td>' for cell in cells)
        lines.append(f"<tr>{left}<td>{bar}</td></tr>")
    caption = f'<caption style="text-align:left"><i>by {by}</i></caption>'
    return f'<table style="margin:8px 0;border-collapse:collapse">{caption}{"".join(lines)}</table>'
