"""The page of an estimate: whole, well-formed, and in need of nothing else."""

import re

import pytest

from estimator import Inference, estimate
from estimator.report.page import page
from estimator.report.table import heading, notes
from tests.report.made import entry, estimate_of
from tests.report.test_html import VOID, Reader

VOID |= {"meta"}


@pytest.fixture(scope="module")
def answer():
    return estimate("llama-3.1-8b", "h100-sxm", Inference(batch=4))


def test_it_holds_what_a_notebook_shows_every_assumption_every_source_and_the_explanation(answer):
    reader = Reader(page(answer))
    assert reader.open == []
    assert all(line in reader.text for line in [*heading(answer).splitlines(), *notes(answer), *answer.explain().splitlines()])
    for number in answer.sources():
        assert number["name"] in reader.text and number["source"] in reader.text
    assert reader.text.count(answer.model) > 1  # in the title of the window, too


def test_the_assumptions_stand_open_and_the_sources_are_folded(answer):
    folds = re.findall(r"<details( open)?><summary>([a-z ]+)", page(answer))
    state = {title.split()[0]: bool(opened) for opened, title in folds}
    assert state["assumptions"] and not state["sources"]


def test_nothing_is_fetched_and_nothing_runs(answer):
    text = page(answer)
    assert not re.search(r"<script|<link|<img|@import|url\(|\b(src|href)=", text)


def test_a_name_is_text_and_not_markup(tmp_path):
    estimate_of(("forward", [entry(1.0, "<script>alert(1)</script>")])).to_html(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>") and "<script" not in text
