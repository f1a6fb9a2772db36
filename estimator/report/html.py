"""An estimate as a piece of HTML for notebooks: the tables of the text, with bars for the shares. Self-contained, no script."""

from html import escape
from typing import TYPE_CHECKING

from estimator.report.cuts import NAMES, TOTAL, Row, Table, tables
from estimator.report.table import capped, heading, notes, warnings

if TYPE_CHECKING:
    from estimator.report.estimate import Estimate

# Colours and lines come from the page, so that it reads on light and on dark; only bars and warnings have their own.
STYLE = """
.joules { font: 13px/1.5 system-ui, sans-serif; overflow-x: auto }
.joules table { border-collapse: collapse; table-layout: auto; margin: 1em 0; font-size: inherit }
.joules table tr { background: none }
.joules table th, .joules table td { text-align: right; padding: 1px 12px; border: 0; white-space: nowrap; max-width: none }
.joules table th { border-bottom: 1px solid currentColor; font-weight: 600 }
.joules table .name { text-align: left }
.joules table .name:first-child { padding-left: 0 }
.joules table .name:last-child { white-space: normal }
.joules table .bars { text-align: left; padding: 1px 0; min-width: 120px }
.joules table .total td { border-top: 1px solid currentColor }
.joules .bar { display: inline-block; height: 9px; background: #5b8db8 }
.joules .warning { border-left: 4px solid #d9822b; padding-left: 8px; margin: 6px 0 }
.joules summary { cursor: pointer }
"""
BAR = 120  # exact: width in pixels of a bar that stands for all of the energy


def render(estimate: "Estimate") -> str:
    """Heading, warnings, the tables and the notes."""
    title, *rest = heading(estimate).splitlines()
    parts = [f"<style>{STYLE}</style>", f"<strong>{escape(title)}</strong>", *(f"<div>{escape(line)}</div>" for line in rest)]
    parts += [f'<div class="warning">{escape(text)}</div>' for text in warnings(estimate)]
    first, *others = (_table(table) for table in tables(estimate))
    parts += [first, *(f"<div>{escape(line)}</div>" for line in capped(estimate).splitlines()), *others]
    items = "".join(f"<li>{escape(line)}</li>" for line in notes(estimate))
    parts.append(f"<details><summary>assumptions</summary><ul>{items}</ul></details>")
    return f'<div class="joules">{"".join(parts)}</div>'


def _table(table: Table) -> str:
    head = _cells("th", table, list(table.columns))
    body = "".join(_row(table, row, cells) for row, cells in zip(table.rows, table.cells()))
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _row(table: Table, row: Row, texts: list[str]) -> str:
    if row["name"] == TOTAL:
        return f'<tr class="total">{_cells("td", table, texts)}</tr>'
    bar = f'<span class="bar" style="width:{BAR * row["share"]:.1f}px"></span>'
    return f"<tr>{_cells('td', table, texts, bar)}</tr>"


def _cells(tag: str, table: Table, texts: list[str], bar: str = "") -> str:
    cells = []
    for title, text in zip(table.columns, texts):
        if title in NAMES:
            cells.append(f'<{tag} class="name">{escape(text).replace(".", ".<wbr>")}</{tag}>')  # long paths break after a dot
        else:
            cells.append(f"<{tag}>{escape(text)}</{tag}>")
        if title == "share":
            cells.append(f'<{tag} class="bars">{bar}</{tag}>')
    return "".join(cells)
