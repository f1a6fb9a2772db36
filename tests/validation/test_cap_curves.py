"""Energy over the power cap, relative to the highest cap."""

import math
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from estimator.validation.cap_curves import cap_scores, curves, relative_errors, steps_off
from estimator.validation.score import Result

positive = st.floats(1e-3, 1e3)
energies = st.lists(positive, min_size=3, max_size=8)


def curve(measured, predicted, **labels):
    """Rows at 100 W, 125 W …"""
    return [
        Result(
            row_id=str(step), file="f", suite="training", hardware="a40", split="dev", why_not="",
            labels={"network": "n", "cap": "at cap", "power_limit_w": str(100 + 25 * step)} | labels,
            measured_energy=told, predicted_energy=ours, energy_given_time=None, measured_time=1.0, predicted_time=1.0,
        )
        for step, (told, ours) in enumerate(zip(measured, predicted))
    ]  # fmt: skip


@given(energies, positive)
def test_a_curve_that_is_off_by_one_factor_throughout_is_right(measured, factor):
    found = curve(measured, [factor * energy for energy in measured])
    assert all(math.isclose(1 + error, 1, rel_tol=1e-9) for error in relative_errors(found))
    assert steps_off(found) == 0


@given(energies)
def test_the_order_in_which_rows_come_does_not_matter(measured):
    rows = curve(measured, measured[::-1])
    assert cap_scores(rows) == cap_scores(rows[::-1])


def test_errors_and_steps_by_hand():
    # measured 0.8, 0.5, 1 and predicted 0.6, 0.75, 1 of the highest: errors 0.6/0.8 - 1 and 0.75/0.5 - 1; best cap 0 instead of 1
    (one,) = curves(curve([8, 5, 10], [12, 15, 20]))
    assert [round(error, 9) for error in relative_errors(one)] == [-0.25, 0.5]
    assert steps_off(one) == 1
    (total,) = cap_scores(one)
    assert (total.curves, total.n, total.within_step) == (1, 2, 1.0)
    assert math.isclose(total.median, 0.375, rel_tol=1e-9)


def test_rows_that_differ_in_more_than_the_cap_share_no_curve():
    rows = [*curve([8, 5, 10], [8, 5, 10]), *curve([8, 5, 10], [8, 5, 10], batch_size="64")]
    assert [len(one) for one in curves(rows)] == [3, 3]


def test_rows_that_do_not_count_and_curves_too_short_are_left_out():
    rows = curve([8, 5, 10], [8, 5, 10])
    assert not curves([replace(rows[0], why_not="low trust"), *rows[1:]])
    assert not cap_scores(rows[:2])
