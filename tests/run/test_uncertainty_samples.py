"""Points fill their space, quantities follow their ranges, and the order that a chip needs is kept."""

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator.errors import InvalidSetting
from estimator.hardware.catalogue import load_profile
from estimator.quantity import Quantity
from estimator.run.uncertainty_points import deviates
from estimator.run.uncertainty_samples import Sampled, Sampler, is_ranged, two_piece
from tests.strategies import between

values = between(1e-20, 1e20)
ranges = st.builds(lambda value, down, up: Quantity(value, "1", value / down, value * up), values, between(1, 50), between(1, 50))


@given(ranges)
def test_a_range_holds_nine_samples_in_ten_and_half_lie_below_the_value(quantity):
    samples = two_piece(quantity, deviates(1024, 1)[0])
    rounding = 1e-9
    inside = (samples >= quantity.low * (1 - rounding)) & (samples <= quantity.high * (1 + rounding))
    assert inside.mean() >= 0.9 - 2 / 1024
    assert math.isclose(np.median(samples), quantity, rel_tol=0.02)


@given(ranges, between(0.01, 0.99))
def test_samples_have_the_quantiles_of_the_closed_form(quantity, share):
    # ln x is normal on each side with the end of the range at z = 1.645, so x(p) = v (end / v)^(|z(p)| / 1.645)
    z = NormalDist().inv_cdf(share)
    end = quantity.high if z > 0 else quantity.low
    expected = quantity * (end / quantity) ** (abs(z) / NormalDist().inv_cdf(0.95))
    assert math.isclose(two_piece(quantity, np.array([z]))[0], expected, rel_tol=1e-9)


def test_a_range_that_reaches_zero_gives_no_negative_samples():
    samples = two_piece(Quantity(10.0, "s", 0.0, 50.0), deviates(1024, 1)[0])
    assert samples.min() == 0
    assert math.isclose((samples == 0).mean(), 0.05, rel_tol=0.05)  # the 5th percentile is zero, and what lies below is cut off


def test_a_value_of_zero_spreads_upwards_alone():
    samples = two_piece(Quantity(0.0, "s", 0.0, 50.0), deviates(1024, 1)[0])
    assert samples.min() == 0
    assert math.isclose((samples <= 50).mean(), 0.95, rel_tol=0.01)


@pytest.mark.parametrize("dimensions", [1, 2, 10, 40, 60])
def test_every_dimension_is_a_permutation_of_the_quantiles_and_none_follows_another(dimensions):
    points = deviates(1024, dimensions)
    expected = [NormalDist().inv_cdf((k + 0.5) / 1024) for k in range(1024)]
    assert np.allclose(np.sort(points, axis=1), expected, rtol=1e-12, atol=0)
    assert np.abs(points @ points.T / 1024 - np.diag(np.diag(points @ points.T / 1024))).max() < 0.05


def test_the_mean_of_many_quantities_is_met_closer_than_by_random_points():
    # Σ exp(z_j / 2) over 20 quantities has the mean 20 e^(1/8); each quantile is taken once, so only their truncation is left
    weights = np.exp(deviates(1024, 20) / 2).sum(axis=0)
    assert math.isclose(weights.mean(), 20 * math.exp(1 / 8), rel_tol=1e-3)
    assert math.isclose(weights.var(), 20 * (math.exp(1 / 4) - 1) * math.exp(1 / 4), rel_tol=0.05)


def test_too_few_points_for_the_dimensions_are_refused():
    with pytest.raises(InvalidSetting, match="8 samples of 10 quantities: expected at least 4 samples for each quantity"):
        deviates(8, 10)


@pytest.mark.parametrize("name", ["v100-sxm2-16gb", "h100-sxm", "b200-sxm", "t4"])
def test_every_sampled_chip_keeps_the_order_that_the_schema_demands(name):
    profile = load_profile(name)
    quantities = {f"hardware.{path}": one for path, one in profile.quantities().items()}
    paths = [path for path, one in quantities.items() if is_ranged(path, one)]
    chip = Sampled(profile, "hardware", Sampler(quantities, 1024, tuple(paths)))
    assert (chip.clock.threshold_voltage <= chip.clock.voltage_floor).all()
    assert (chip.clock.voltage_floor <= chip.clock.voltage_at_boost).all()
    assert (chip.clock.velocity_exponent >= 1).all()
    assert (chip.power.regulator_efficiency <= 1).all()
    assert (chip.achievable.tensor <= 1).all()
    assert np.ndim(chip.tensor.tile_m) == 0  # held: it chooses between kernels


def test_only_what_a_formula_reads_counts_as_used():
    profile = load_profile("h100-sxm")
    sampler = Sampler({f"hardware.{path}": one for path, one in profile.quantities().items()}, 1)
    chip = Sampled(profile, "hardware", sampler)
    assert chip.die.powered_transistors == profile.die.powered_transistors
    assert chip.power.limit + chip.process.leakage > 0
    assert sampler.used == ["hardware.process.leakage"]  # the limit has no range, transistors neither
