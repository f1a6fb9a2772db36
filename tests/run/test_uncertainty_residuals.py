"""The structural error is found again where it is known, and is one where the ranges suffice."""

import math
from statistics import NormalDist

import pytest
from hypothesis import given, settings

from estimator.run.uncertainty import Factor
from estimator.run.uncertainty_residuals import Residual, Table, fit, fit_unseen, held_out
from tests.strategies import between

POINT = (1.0,) * 11  # the table of a prediction without any range
END = NormalDist().inv_cdf(0.95)


def normal(spread):
    """The quantile table of a log-normal."""
    return tuple(math.exp(spread * NormalDist().inv_cdf((k + 0.5) / 201)) for k in range(201))


def rows(low, high, count=400, table=POINT, tail=1.0):
    """Truths at the exact quantiles of a two-piece log-normal of that range, its deviates bent, in four groups."""
    z = [NormalDist().inv_cdf((k + 0.5) / count) for k in range(count)]
    ratios = [(high if one > 0 else low) ** ((abs(one) / END) ** tail) for one in z]
    return [Residual(ratio, table, f"group {index % 4}") for index, ratio in enumerate(ratios)]


def test_a_known_structural_error_is_found_again():
    factor = fit(Table(rows(0.7, 2.0)))
    assert math.isclose(factor.low, 0.7, rel_tol=0.02)
    assert math.isclose(factor.high, 2.0, rel_tol=0.02)
    assert math.isclose(factor.tail, 1.0, rel_tol=0.15)  # one step of the tails tried, and two where ranks tie
    assert factor.ranges == 1.0


@pytest.mark.parametrize("tail", [0.5, 2.0])
def test_a_known_tail_is_found_again(tail):
    factor = fit(Table(rows(0.7, 2.0, tail=tail)))
    assert math.isclose(factor.tail, tail, rel_tol=0.15)
    assert math.isclose(factor.high, 2.0, rel_tol=0.02)


def test_truths_that_the_ranges_explain_leave_no_structural_error():
    factor = fit(Table(rows(math.exp(-0.5 * END), math.exp(0.5 * END), table=normal(0.5))))
    assert math.isclose(factor.ranges, 1.0, rel_tol=0.02)
    assert factor.low > 0.95
    assert factor.high < 1.05


def test_ranges_that_hold_too_many_truths_count_with_the_part_that_holds_enough():
    # truths spread half as wide as the ranges say
    factor = fit(Table(rows(math.exp(-0.25 * END), math.exp(0.25 * END), table=normal(0.5))))
    assert math.isclose(factor.ranges, 0.5, rel_tol=0.05)


@given(between(0.6, 1.6), between(0.05, 0.5), between(0.0, 0.4), between(0.4, 2.5))
@settings(max_examples=15, deadline=None)
def test_both_levels_hold_what_they_say_whatever_bias_spread_and_tail(bias, spread, ranges, tail):
    truths = [
        Residual(one.ratio * bias, normal(ranges), one.group)
        for one in rows(math.exp(-spread * END), math.exp(spread * END), count=200, tail=tail)
    ]
    table = Table(truths)
    factor = fit(table)
    assert 0.85 <= table.inside(factor, 0.9) <= 0.95
    assert 0.42 <= table.inside(factor, 0.5) <= 0.58


def test_a_least_factor_wider_than_the_errors_holds_no_more_rows_than_it_must():
    # truths within 4 % where laboratories differ by 10: a sharp middle cannot be had by tails so heavy that nothing is outside
    table = Table(rows(0.94, 1.06, table=normal(0.04)))
    factor = fit_unseen(table, least=1.1)
    plain = table.inside(Factor(1 / 1.1, 1.1), 0.9)
    assert table.inside(factor, 0.9) <= plain + 1e-9


def test_groups_that_the_fit_did_not_see_are_covered_as_well_where_all_groups_are_alike():
    table = Table(rows(0.7, 2.0))
    unseen = held_out(table, fit(table))
    assert math.isclose((unseen <= 0.9).mean(), 0.9, rel_tol=0.02)
    assert math.isclose((unseen <= 0.5).mean(), 0.5, rel_tol=0.05)


def test_a_group_apart_shows_when_it_is_left_out():
    apart = Table([*rows(0.95, 1.05), *(Residual(3.0, POINT, "apart") for _ in range(40))])
    assert (held_out(apart, fit(apart))[-40:] > 0.9).all()


def test_ends_widen_until_groups_that_were_left_out_are_held_nine_times_in_ten():
    # eight groups, each off by its own factor: without one of them, its rows are held less often
    shifts = [0.7, 0.8, 0.9, 1.0, 1.05, 1.1, 1.2, 1.3]
    table = Table([Residual(one.ratio * shift, POINT, str(shift)) for shift in shifts for one in rows(0.95, 1.05, count=25)])
    seen, unseen = fit(table), fit_unseen(table)
    assert unseen.high / unseen.low > seen.high / seen.low
    assert 0.9 <= table.inside(unseen, 0.9) <= 0.95


def test_few_rows_narrow_nothing_and_none_leave_the_least_factor():
    assert fit(Table([])) == Factor(1.0, 1.0)
    assert fit(Table([]), least=1.1) == Factor(1 / 1.1, 1.1)
    few = fit(Table([Residual(1.3, normal(0.5), "g")] * 3), least=1.1)
    assert (few.tail, few.ranges) == (1.0, 1.0)
