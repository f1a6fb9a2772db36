"""The notebook's view of an estimate: well-formed, safe, complete, and readable on a light and on a dark page."""

import math
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given

from estimator import Inference, estimate
from estimator.report.cuts import tables
from estimator.report.html import BAR, STYLE, render
from estimator.report.table import heading, notes
from tests.report.made import entry, estimate_of, estimates

VOID = {"wbr"}  # tags without an end


class Reader(HTMLParser):
    """Collects tags, cells and the text that a reader sees; complains about a tag that closes another."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.cells: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += data
        if {"td", "th"} & set(self.open):
            self.cells[-1] += data


@given(estimates)
def test_every_tag_closes_and_nothing_in_a_name_becomes_markup(answer):
    reader = Reader(render(answer))
    assert reader.open == []
    assert set(reader.tags) <= {"div", "style", "strong", "table", "thead", "tbody", "tr", "th", "td", "span", "wbr"} | {
        "details", "summary", "ul", "li",
    }  # fmt: skip
    assert {name for name, _ in reader.attributes} <= {"class", "style"}


@given(estimates)
def test_it_shows_the_very_cells_of_the_text(answer):
    shown = [cell for cell in Reader(render(answer)).cells if cell]
    expected = [cell for table in tables(answer) for row in [list(table.columns), *table.cells()] for cell in row if cell]
    assert shown == expected


@given(estimates)
def test_the_bars_of_a_table_have_one_scale_and_add_up_to_a_full_bar(answer):
    for table in render(answer).split("<table>")[1:]:
        bars = [float(width) for width in re.findall(r"width:([0-9.]+)px", table)]
        assert math.isclose(sum(bars), BAR, rel_tol=0.01)  # widths are rounded to a tenth of a pixel


def test_a_name_is_text_and_not_markup():
    html = render(estimate_of(("forward", [entry(1.0, "<script>alert(1)</script>")])))
    assert "<script" not in html
    assert "<script>alert(1)</script>" in Reader(html).text


def test_colours_of_text_and_page_are_left_to_the_notebook():
    # a fixed text colour is unreadable on a dark page, a fixed background on a light one; bars alone are filled
    coloured = re.findall(r"\.joules ([^{]*)\{[^}]*#[0-9a-f]{6}", STYLE)
    assert [selector.strip() for selector in coloured] == [".bar", ".warning"]
    assert not re.search(r"[{; ]color:", STYLE)
    assert "color:" not in render(estimate_of(("forward", [entry(1.0)]))).replace(STYLE, "")


def test_the_style_applies_to_estimates_alone():
    rules = [line for line in STYLE.splitlines() if line]
    assert all(selector.strip().startswith(".joules") for line in rules for selector in line.partition("{")[0].split(","))


def test_warnings_stand_out_above_the_tables():
    html = render(estimate_of(("decode", [entry(1.0)]), assumptions=("WARNING: does not fit & more",)))
    assert '<div class="warning">WARNING: does not fit &amp; more</div>' in html
    assert html.index('class="warning">') < html.index("<table>")


@pytest.mark.parametrize(("model", "hw"), [("llama-3.1-8b", "h100-sxm"), ("resnet-50", "a100-sxm-80gb")])
def test_a_reader_finds_the_answer_the_phases_and_every_assumption(model, hw):
    answer = estimate(model, hw, Inference(batch=4))
    reader = Reader(answer._repr_html_())
    assert all(line in reader.text for line in [*heading(answer).splitlines(), *notes(answer)])
    assert reader.tags.count("table") == 4
    assert {row["name"] for row in answer.rows("phase")} <= {cell.rstrip("*") for cell in reader.cells}
