"""What failures, checkpoints and restarts take from a run on many devices."""

from math import exp

import pytest
from hypothesis import given

from estimator.errors import Infeasible
from estimator.quantity import Quantity
from estimator.run.practice import load_practice
from estimator.run.training_parallel import lost
from tests.strategies import between


def test_losses_grow_with_the_devices_and_end_the_run():
    practice = load_practice("megatron")
    shares = [sum(lost(practice, n)) for n in (1, 1000, 10_000, 100_000, 1_000_000)]
    assert shares == sorted(shares)
    with pytest.raises(Infeasible, match=r"2000000 devices fail every 90 s.*use fewer devices"):
        lost(practice, 2_000_000)


def failing(interval, saving, restart):
    """What a practice loses whose devices fail every `interval` seconds together."""
    changed = {"failure_interval": Quantity(interval), "checkpoint_seconds": Quantity(saving), "restart": Quantity(restart)}
    return lost(load_practice("megatron").model_copy(update=changed), 1)


@given(between(1e7, 1e12), between(1, 100), between(1, 1e4))
def test_where_failures_are_rare_the_loss_is_that_of_young(interval, saving, restart):
    # Young (CACM 17, 1974): checkpoints every √(2 δ M) cost as much again in work done twice
    again, restarting = failing(interval, saving, restart)
    assert again == pytest.approx((2 * saving / interval) ** (1 / 2), rel=0.01, abs=0)
    assert restarting == pytest.approx(restart / interval, rel=0.01, abs=0)


def test_losses_of_frequent_failures_by_hand():
    # M = 10,000 s, δ = 50 s, R = 1000 s: τ = √(2 · 50 · 10,000) - 50 = 950 s, and 10 (e^0.1 - 1) / 0.95 = 1.1071, e^0.1 = 1.1052
    assert failing(1e4, 50, 1e3) == pytest.approx((0.1071, 0.1052), rel=1e-3, abs=0)


@given(between(100, 1e6), between(1, 1e4), between(0.1, 10))
def test_no_other_distance_between_checkpoints_loses_much_less(interval, saving, factor):
    if 2 * saving > interval / 4:
        return  # failures as frequent as checkpoints: there a run hardly advances
    every = factor * ((2 * saving * interval) ** (1 / 2) - saving)
    other = interval * (exp((every + saving) / interval) - 1) / every - 1
    assert failing(interval, saving, 0.0)[0] <= other * 1.1
