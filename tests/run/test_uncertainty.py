"""An interval as plain data: it contains the estimate, grows with its level, and refuses what is no level."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator.errors import InvalidSetting, UnknownName
from estimator.run.diffusion import Diffusion
from estimator.run.settings import Inference, Training
from estimator.run.uncertainty import FIGURES, Uncertainty, kind_of, shape_of, structural_error
from tests.strategies import between

levels = between(0.001, 0.999)
tables = st.lists(between(0.01, 100.0), min_size=2, max_size=50).map(lambda values: tuple(sorted(values)))


def uncertain(table):
    return Uncertainty({"energy": table}, {"energy": {}})


@given(tables, levels)
def test_the_interval_contains_the_estimate(table, level):
    low, high = uncertain(table).interval(level)
    assert low <= 1 <= high


@given(tables, levels, levels)
def test_a_wider_level_contains_a_narrower_one(table, first, second):
    narrow, wide = sorted((first, second))
    (low, high), (lower, higher) = uncertain(table).interval(narrow), uncertain(table).interval(wide)
    rounding = 1 + 1e-12
    assert lower <= low * rounding
    assert high <= higher * rounding


def test_the_interval_leaves_out_the_same_part_of_both_sides():
    # uniform from 0.5 to 1.5: half of the truths lie below 1, and a level of 0.8 keeps 0.8 of each half: 1 ± 0.4
    low, high = uncertain(tuple(0.5 + step / 100 for step in range(101))).interval(0.8)
    assert math.isclose(low, 0.6, rel_tol=1e-12)
    assert math.isclose(high, 1.4, rel_tol=1e-12)


def test_a_skewed_distribution_keeps_its_level():
    # uniform from 0.8 to 1.8: a fifth lies below 1; a level of 0.5 keeps 0.1 below and 0.4 above, half of all truths
    low, high = uncertain(tuple(0.8 + step / 100 for step in range(101))).interval(0.5)
    assert math.isclose(low, 0.9, rel_tol=1e-12)
    assert math.isclose(high, 1.4, rel_tol=1e-12)


@pytest.mark.parametrize("level", [0, 1, -0.5, 1.5, 90, math.nan, math.inf, True, "0.9", None])
def test_a_level_that_is_no_share_is_refused_with_an_example(level):
    with pytest.raises(InvalidSetting, match=r"level=.*: expected a share between 0 and 1, such as 0.9"):
        uncertain((0.9, 1.1)).interval(level)


def test_an_unknown_figure_is_refused_with_those_that_exist():
    with pytest.raises(UnknownName, match=r"energi.*energy"):
        uncertain((0.9, 1.1)).interval(0.9, "energi")


def test_each_run_has_the_structural_error_of_its_kind():
    assert kind_of(Training(), "eager") == "training"
    assert kind_of(Inference(), "serving") == "serving"
    assert kind_of(Inference(), "eager") == "inference"
    assert kind_of(Diffusion(), "eager") == kind_of(Diffusion(), "compiled") == "diffusion"


@pytest.mark.parametrize("kind", ["kernel", "serving", "diffusion", "inference", "training", "idle", "system", "training-run"])
def test_the_structural_error_is_a_sourced_factor_around_one(kind):
    found = structural_error(kind)
    for figure in FIGURES:
        factor = found[f"structural_error.{kind}.{figure}"]
        assert factor == 1
        assert factor.low < 1 < factor.high
        assert factor.source
        assert 0 <= found[f"structural_error.{kind}.{figure}_ranges"] <= 1
        assert found[f"structural_error.{kind}.{figure}_tail"] > 0


def test_the_shape_of_an_error_that_states_none_is_the_plain_one():
    assert shape_of({"structural_error.x.energy": 1.0}, "structural_error.x.energy", "tail") == 1
    assert shape_of({"structural_error.x.energy_tail": 2.0}, "structural_error.x.energy", "tail") == 2


def test_an_unknown_kind_of_run_is_refused_with_those_that_exist():
    with pytest.raises(UnknownName, match=r"kind of run 'servin'.*serving"):
        structural_error("servin")
