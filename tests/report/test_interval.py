"""The interval of an estimate: beside the energy in every report, the same after JSON, and made of named numbers."""

import math
import subprocess
import sys

import pytest

from estimator import Inference, Training, estimate
from estimator.errors import EstimatorError, InvalidSetting, UnknownName
from estimator.report.estimate import Estimate
from estimator.report.html import render
from estimator.units import format_si
from tests.report.made import entry, estimate_of

RUN = Inference(prompt_tokens=64, output_tokens=8)


@pytest.fixture(scope="module")
def answer():
    return estimate("gpt2", "h100", RUN)


@pytest.mark.parametrize("level", [0.01, 0.5, 0.9, 0.99])
def test_the_interval_contains_every_figure_of_the_estimate(answer, level):
    for name, value in answer.figures().items():
        low, high = answer.interval(level, of=name)
        assert low <= value <= high


def test_joules_per_token_vary_as_the_joules_do(answer):
    for whole, part in zip(answer.interval(), answer.interval(of="energy_per_token"), strict=True):
        assert math.isclose(whole / answer.tokens, part, rel_tol=1e-12)


def test_the_interval_survives_json_and_so_does_what_it_is_made_of(answer):
    again = Estimate.from_json(answer.to_json())
    assert again == answer
    assert again.interval() == answer.interval()
    assert again.interval(0.5, of="time") == answer.interval(0.5, of="time")
    assert again.sensitivity() == answer.sensitivity()
    assert again.table() == answer.table()


def test_the_same_estimate_has_the_same_interval_every_time(answer):
    assert estimate("gpt2", "h100", RUN).interval() == answer.interval()


@pytest.mark.parametrize("figure", ["energy", "time", "power"])
def test_what_the_uncertainty_is_made_of_is_ranked_and_adds_up_to_one(answer, figure):
    *rows, rest = answer.sensitivity(of=figure)
    assert rest["name"] == "(together)"
    assert math.isclose(math.fsum(row["share"] for row in [*rows, rest]), 1, rel_tol=1e-9)
    assert [row["share"] for row in rows] == sorted((row["share"] for row in rows), reverse=True)
    assert f"structural_error.serving.{figure}" in {row["name"] for row in rows}
    assert all(row["low"] < row["high"] and row["status"] for row in rows)


def test_the_structural_error_is_that_of_the_kind_of_run_and_stands_among_the_sources():
    trained = estimate("gpt2", "h100", Training(batch=1, sequence_tokens=64))
    assert "structural_error.training.energy" in {source["name"] for source in trained.sources()}
    assert "structural_error.training.energy" in {row["name"] for row in trained.sensitivity()}


def test_text_and_html_print_the_interval_beside_the_energy_and_name_the_three_largest_causes(answer):
    low, high = answer.interval()
    beside = f"energy {format_si(answer.energy, 'J')} (90 %: {format_si(low, 'J')} … {format_si(high, 'J')}; "
    for report in (answer.table(), render(answer)):
        assert beside in report
        assert "uncertain most by " in report
        for row in answer.sensitivity()[:3]:
            assert row["name"].partition(".")[2] in report or row["name"].startswith("structural_error")


@pytest.mark.parametrize("level", [0, 1, 90])
def test_a_level_that_is_no_share_is_refused(answer, level):
    with pytest.raises(InvalidSetting, match="expected a share between 0 and 1"):
        answer.interval(level)


def test_a_figure_that_the_estimate_lacks_is_refused_with_those_it_has(answer):
    with pytest.raises(UnknownName, match=r"energy_per_step.*energy_per_token"):
        answer.interval(of="energy_per_step")
    with pytest.raises(UnknownName, match="figure 'joules'"):
        answer.sensitivity(of="joules")


def test_an_estimate_without_its_launches_prints_no_interval_and_says_why_when_asked():
    made = estimate_of(("forward", [entry(1.0)]))
    assert "90 %" not in made.table()
    assert "uncertain" not in made.table()
    assert Estimate.from_json(made.to_json()) == made
    with pytest.raises(EstimatorError, match="estimate again"):
        made.interval()


def test_an_estimate_needs_no_numpy_until_its_interval_is_asked_for():
    code = "import sys; from estimator import estimate; e = estimate('gpt2'); e.energy; print('numpy' in sys.modules); e.interval(); "
    shown = subprocess.run([sys.executable, "-c", code + "print('numpy' in sys.modules)"], capture_output=True, text=True, check=True)
    assert shown.stdout.split() == ["False", "True"]
