"""Scores: what an error is, what a quantile is, and that groups lose no row."""

import math
from dataclasses import replace

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator.validation.score import METRICS, Result, grouped, quantile, score

positive = st.floats(1e-6, 1e6)


def result(measured=10.0, predicted=10.0, given_time=10.0, seconds=2.0, predicted_seconds=2.0, **other):
    known = {"row_id": "r", "file": "f", "suite": "kernels", "hardware": "h", "split": "dev", "why_not": "", "labels": {}}
    return Result(
        **known | other,
        measured_energy=measured, predicted_energy=predicted, energy_given_time=given_time,
        measured_time=seconds, predicted_time=predicted_seconds,
    )  # fmt: skip


@given(st.lists(positive, min_size=1, max_size=20))
def test_a_perfect_prediction_scores_zero(values):
    for one in score("s", "g", [result(value, value, value, value, value) for value in values]):
        assert (one.n, one.median, one.p90, one.bias) == (len(values), 0, 0, 0)


@given(st.lists(positive, min_size=1, max_size=20), st.floats(0.1, 0.9))
def test_bias_is_negative_where_predictions_are_too_small_and_positive_where_too_large(values, share):
    low = score("s", "g", [result(value, value * share) for value in values])[-1]
    high = score("s", "g", [result(value, value / share) for value in values])[-1]
    assert low.metric == high.metric == "energy"
    assert math.isclose(low.bias, share - 1, rel_tol=1e-9)
    assert math.isclose(high.bias, 1 / share - 1, rel_tol=1e-9)


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=50), st.floats(0, 1))
def test_quantiles_are_those_of_type_seven(values, share):
    expected = float(numpy.quantile(values, share))
    spread = max(abs(value) for value in values)
    assert math.isclose(quantile(values, share) + 2 * spread, expected + 2 * spread, rel_tol=1e-9)


def test_the_ninetieth_percentile_of_five_errors_by_hand():
    # |errors| 0.1 … 0.5: position 0.9 × 4 = 3.6, so 0.4 + 0.6 × (0.5 - 0.4) = 0.46
    rows = [result(1.0, 1 + error, None) for error in (0.1, -0.2, 0.3, -0.4, 0.5)]
    energy = score("s", "g", rows)[-1]
    assert math.isclose(energy.p90, 0.46, rel_tol=1e-9)
    assert math.isclose(energy.median, 0.3, rel_tol=1e-9)
    assert math.isclose(energy.bias, 0.1, rel_tol=1e-9)


def test_what_was_not_measured_is_left_out_and_not_counted_as_zero():
    rows = [result(), result(measured=None, predicted=5.0, given_time=None), result(predicted_seconds=None)]
    assert [(one.metric, one.n) for one in score("s", "g", rows)] == [("time", 2), ("energy_given_time", 2), ("energy", 2)]
    assert score("s", "g", [result(None, None, None, None, None)]) == []


def test_shares_inside_count_only_rows_with_an_interval_and_each_metric_has_its_own():
    # predicted 10 J where 10 J were measured: a factor of 0.9 … 1.1 holds it, one of 1.05 … 1.1 does not
    inside = replace(result(), factors={"energy": {50: (1.05, 1.1), 90: (0.9, 1.1)}, "time": {50: (1.0, 1.0), 90: (1.0, 1.0)}})
    outside = replace(inside, factors={"energy": {50: (1.05, 1.1), 90: (1.05, 1.1)}})
    scores = {one.metric: one for one in score("s", "g", [inside, outside, result()])}
    assert (scores["energy"].inside_90, scores["energy"].inside_50) == (0.5, 0.0)
    assert (scores["time"].inside_90, scores["energy_given_time"].inside_90) == (1.0, None)
    assert score("s", "g", [result()])[-1].inside_90 is None
    assert inside.bounds("energy", 90) == (9.0, 11.0)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["", "x"])), max_size=30))
def test_every_row_falls_into_exactly_one_group(pairs):
    rows = [result(row_id=str(index), labels={"hardware": h, "task": t}) for index, (h, t) in enumerate(pairs)]
    groups = grouped(rows, ("hardware", "task"))
    assert sorted(one.row_id for members in groups.values() for one in members) == sorted(one.row_id for one in rows)
    assert set(groups) == {" · ".join(filter(None, pair)) for pair in pairs}


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_compares_per_unit(metric):
    assert result(measured=2.0, predicted=1.0, given_time=1.0, seconds=4.0, predicted_seconds=2.0).error(metric) == -0.5
