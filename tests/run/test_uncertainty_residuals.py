"""The structural error is found again where it is known, and is one where the ranges suffice."""

import math
from statistics import NormalDist

import numpy as np

from estimator.run.uncertainty_residuals import Residual, fit, held_out, ranks

POINT = (1.0, 1.0)  # the table of a prediction without any range
END = NormalDist().inv_cdf(0.95)


def rows(low, high, count=400, table=POINT):
    """Truths at the exact quantiles of a two-piece log-normal of that range, in four groups."""
    z = [NormalDist().inv_cdf((k + 0.5) / count) for k in range(count)]
    ratios = [(high if one > 0 else 1 / low) ** (one / END) for one in z]
    return [Residual(ratio, table, f"group {index % 4}") for index, ratio in enumerate(ratios)]


def test_a_known_structural_error_is_found_again():
    low, high = fit(rows(0.7, 2.0))
    assert math.isclose(low, 0.7, rel_tol=0.02)
    assert math.isclose(high, 2.0, rel_tol=0.02)


def test_truths_that_the_ranges_explain_leave_no_structural_error():
    table = tuple(float(np.exp(0.5 * NormalDist().inv_cdf((k + 0.5) / 200))) for k in range(200))
    assert fit(rows(0.9, 1.1, table=table)) == (1.0, 1.0)


def test_a_biased_model_gets_an_interval_that_is_wide_enough():
    biased = [Residual(one.ratio * 1.5, POINT, one.group) for one in rows(0.9, 1.1)]
    low, high = fit(biased)
    assert low == 1.0
    assert (ranks(biased, low, high) <= 0.9).mean() >= 0.9


def test_groups_that_the_fit_did_not_see_are_covered_as_well_where_all_groups_are_alike():
    unseen = held_out(rows(0.7, 2.0))
    assert math.isclose((unseen <= 0.9).mean(), 0.9, rel_tol=0.02)
    assert math.isclose((unseen <= 0.5).mean(), 0.5, rel_tol=0.05)


def test_a_group_apart_shows_when_it_is_left_out():
    apart = [*rows(0.95, 1.05), *(Residual(3.0, POINT, "apart") for _ in range(40))]
    assert (held_out(apart)[-40:] > 0.9).all()


def test_no_rows_leave_the_factor_at_one():
    assert fit([]) == (1.0, 1.0)
