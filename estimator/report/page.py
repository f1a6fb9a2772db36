"""An estimate as a page of its own: what a notebook shows, with flame graph, explanation, assumptions and sources. Nothing is fetched."""

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any

from estimator.report.explain import explain
from estimator.report.flame_svg import svg
from estimator.report.html import render
from estimator.report.table import heading
from estimator.units import format_si

if TYPE_CHECKING:
    from estimator.report.estimate import Estimate

STYLE = """
:root { color-scheme: light dark }
body { max-width: 1240px; margin: 2em auto; padding: 0 1em; font: 13px/1.5 system-ui, sans-serif }
.joules > strong { font-size: 1.6em }
details { margin: 1em 0 }
summary { cursor: pointer; font-weight: 600 }
pre { overflow-x: auto; font: 12px/1.5 ui-monospace, monospace }
svg { max-width: 100%; height: auto }
.sources { border-collapse: collapse; font-size: 12px }
.sources th, .sources td { text-align: left; vertical-align: top; padding: 2px 12px 2px 0 }
.sources .figure { text-align: right; white-space: nowrap }
"""
COLUMNS = ("number", "value", "low", "high", "status", "source")


def page(estimate: "Estimate") -> str:
    """The whole document as text."""
    title = escape(heading(estimate).splitlines()[0])
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title><style>{STYLE}</style>'
    shown = render(estimate).replace("<details>", "<details open>")  # on a page the assumptions stand open
    body = [shown, _folded("where the joules go, as a flame graph", svg(estimate), True)]
    body.append(_folded("the largest kernel, explained", f"<pre>{escape(explain(estimate))}</pre>"))
    body.append(_folded(f"sources of all {len(estimate.numbers)} numbers", _sources(estimate)))
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>{"".join(body)}</body></html>\n'


def _folded(title: str, inside: str, opened: bool = False) -> str:
    return f"<details{' open' * opened}><summary>{escape(title)}</summary>{inside}</details>"


def _sources(estimate: "Estimate") -> str:
    head = "".join(f"<th>{name}</th>" for name in COLUMNS)
    return f'<table class="sources"><thead><tr>{head}</tr></thead><tbody>{"".join(map(_source, estimate.sources()))}</tbody></table>'


def _source(number: Mapping[str, Any]) -> str:
    unit = "" if number["unit"] == "1" else number["unit"]
    figures = [format_si(number[key], unit) if unit else f"{number[key]:.4g}" for key in ("value", "low", "high")]
    cells = [f"<td>{escape(number['name']).replace('.', '.<wbr>')}</td>", *(f'<td class="figure">{escape(text)}</td>' for text in figures)]
    cells += [f"<td>{escape(number[key])}</td>" for key in ("status", "source")]
    return f"<tr>{''.join(cells)}</tr>"
