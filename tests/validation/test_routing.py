"""Rows of experts as a published benchmark spreads them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator.validation.routing import rows_by_expert, rows_moved
from estimator.validation.rows import NotPredicted


@given(st.integers(1, 4096), st.sampled_from([8, 64, 128, 256]), st.integers(1, 8), st.sampled_from(["balanced", "power_law_1.2"]))
def test_one_device_gets_all_rows(tokens, experts, picks, distribution):
    rows = rows_by_expert(distribution, tokens, experts, picks, 1)
    assert math.isclose(sum(rows), tokens * picks, rel_tol=1e-9)
    assert len(rows) <= min(experts, tokens * picks)


@given(st.integers(1, 512), st.sampled_from([8, 64, 256]), st.integers(1, 8))
def test_no_token_picks_an_expert_twice(tokens, experts, picks):
    rows = rows_by_expert("power_law_1.2", tokens, experts, picks, 1)
    assert max(rows) <= tokens and len(rows) >= picks


@given(st.integers(64, 16384), st.sampled_from([64, 256]))
def test_the_busiest_of_several_devices_has_at_least_its_share(tokens, experts):
    even, uneven = (sum(rows_by_expert(each, tokens, experts, 8, 8)) for each in ("balanced", "power_law_1.2"))
    assert math.isclose(even, tokens, rel_tol=1e-9)
    assert tokens <= uneven <= 8 * tokens


def test_few_rows_find_an_expert_each():
    # 8 tokens with 8 of 256 experts: 64 rows, no two for one expert
    assert rows_by_expert("balanced", 8, 256, 8, 1) == (1.0,) * 64


def test_a_power_law_leaves_most_experts_little():
    rows = rows_by_expert("power_law_1.2", 16384, 256, 8, 1)
    mean = sum(rows) / 256
    assert sum(count < mean for count in rows) > 0.8 * 256
    assert max(rows) > 10 * mean


def test_an_unknown_distribution_is_named():
    with pytest.raises(NotPredicted, match="unknown way: 'uniform'"):
        rows_by_expert("uniform", 8, 8, 1, 1)


@given(st.sampled_from([1024, 4096, 16384]), st.integers(2, 8))
def test_rows_beyond_one_for_a_token_are_moved_only_where_a_power_law_can_exceed_them(tokens, picks):
    assert rows_moved("balanced", tokens, 128, picks) == 0
    assert rows_moved("power_law_1.2", tokens, 128, 1) == 0  # one pick: no expert can have more than all tokens
    assert rows_moved("power_law_1.2", tokens, 8, picks) > 0
    assert rows_moved("power_law_1.2", 2 * tokens, 8, picks) > rows_moved("power_law_1.2", tokens, 8, picks)
