"""Ranges become intervals: against the scalar road sample by sample, against closed forms, and in their extremes."""

import math
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from estimator.errors import EstimatorError, Infeasible
from estimator.hardware.catalogue import load_profile
from estimator.hardware.events import count_events
from estimator.hardware.operating_point import Load, elapsed, settle
from estimator.hardware.power import idle_power
from estimator.hardware.power_many import idle_power_many
from estimator.hardware.roofline import duration
from estimator.model.work import Kernel, Signature, TensorSpec
from estimator.quantity import Quantity
from estimator.run.phase import host_gaps, price
from estimator.run.stack import load_stack
from estimator.run.uncertainty import FIGURES
from estimator.run.uncertainty_propagation import _terms, price_many, propagate, propagate_idle, quantities_of
from estimator.run.uncertainty_samples import Sampled, Sampler
from tests.run.sampled import one_of

END = NormalDist().inv_cdf(0.95)
NOTHING = {f"structural_error.serving.{figure}": Quantity(1.0) for figure in FIGURES}
ONE_PERCENT = 0.01  # the tables have steps of half a percent


def matrix_product(m, n=4096, k=4096):
    a, b, c = TensorSpec((m, k), "fp16"), TensorSpec((k, n), "fp16"), TensorSpec((m, n), "fp16")
    return Kernel("aten.mm", "matmul", "forward", "", (Signature("aten.mm", (("self", a), ("mat2", b)), (c,)),), format="fp16")


def phases(profile, m=4096, stack=None):
    stack = stack or load_stack("serving")
    return [price("forward", [matrix_product(m), matrix_product(16)], profile, stack), host_gaps(profile, stack, steps=1, sequences=8)]


def exactly(section):
    """`section` with no ranges left."""
    changed = {}
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, Quantity):
            changed[name] = Quantity(float(value), value.unit)
        elif hasattr(type(value), "model_fields"):
            changed[name] = exactly(value)
        elif isinstance(value, dict):
            changed[name] = {
                key: Quantity(float(item), item.unit) if isinstance(item, Quantity) else exactly(item) for key, item in value.items()
            }
    return section.model_copy(update=changed)


def changed(profile, **sections):
    updates = {name: getattr(profile, name).model_copy(update=values) for name, values in sections.items()}
    return profile.model_copy(update=updates)


def capped_at(name, share):
    profile = load_profile(name)
    return changed(profile, power={"limit": Quantity(float(profile.power.limit) * share, "W")})


@pytest.mark.parametrize("name", ["v100-sxm2-16gb", "a100-sxm-80gb", "a40", "h100-sxm", "b200-sxm", "t4"])
@pytest.mark.parametrize("share", [1.0, 0.6, 0.3, 0.2])
def test_the_array_road_agrees_with_the_scalar_road_sample_by_sample(name, share):
    try:
        bases = [phase.basis for phase in phases(capped_at(name, share))]
    except Infeasible:
        pytest.skip("the part itself cannot stand still at that cap")
    quantities = quantities_of(bases[0])
    nominal = Sampler(quantities, 1)
    price_many(bases, nominal, 1)
    sampler = Sampler(quantities, 256, tuple(nominal.used))
    found = price_many(bases, sampler, 256)
    for index in range(0, 256, 17):
        joules, seconds = _scalar(bases, sampler, index)
        if math.isnan(joules):
            assert math.isnan(found["energy"][index])
        else:
            assert math.isclose(found["energy"][index], joules, rel_tol=1e-6)
            assert math.isclose(found["time"][index], seconds, rel_tol=1e-6)


def _scalar(bases, sampler, index):
    """Energy and time of one sample by the scalar formulas; NaN where that chip cannot run."""
    chip, stack = one_of(bases[0].profile, "hardware", sampler, index), one_of(bases[0].stack, "stack", sampler, index)
    joules = seconds = 0.0
    for basis in bases:
        demands = [replace(demand, **_terms(kind, stack, basis.sequences)) for kind, demand in zip(basis.kinds, basis.demands)]
        loads = [
            Load(load.launches, count_events(demand, chip), duration(demand, chip))
            for load, demand in zip(basis.loads, demands, strict=True)
        ]
        try:
            point = settle(chip, loads)
        except Infeasible:
            return math.nan, math.nan
        joules, seconds = joules + point.power * elapsed(loads, point), seconds + elapsed(loads, point)
    return joules, seconds


def test_idle_power_agrees_with_the_scalar_road_sample_by_sample():
    profile = load_profile("a100-sxm-80gb")
    quantities = {f"hardware.{path}": one for path, one in profile.quantities().items()}
    nominal = Sampler(quantities, 1)
    idle_power_many(Sampled(profile, "hardware", nominal), 1)
    sampler = Sampler(quantities, 256, tuple(nominal.used))
    watts = idle_power_many(Sampled(profile, "hardware", sampler), 256)
    for index in range(0, 256, 17):
        assert math.isclose(watts[index], idle_power(one_of(profile, "hardware", sampler, index)), rel_tol=1e-6)


def test_without_ranges_the_interval_collapses_to_the_estimate():
    found = propagate(phases(exactly(load_profile("h100-sxm")), stack=exactly(load_stack("serving"))), NOTHING)
    for figure in FIGURES:
        assert found.interval(0.9, figure) == (1.0, 1.0)
        assert not any(found.shares[figure].values())


def test_without_ranges_only_the_structural_error_is_left():
    error = NOTHING | {"structural_error.serving.energy": Quantity(1.0, "1", 0.8, 1.5)}
    found = propagate(phases(exactly(load_profile("h100-sxm")), stack=exactly(load_stack("serving"))), error)
    low, high = found.interval(0.9, "energy")
    assert math.isclose(low, 0.8, rel_tol=ONE_PERCENT)
    assert math.isclose(high, 1.5, rel_tol=ONE_PERCENT)
    assert found.interval(0.9, "time") == (1.0, 1.0)
    assert math.isclose(found.shares["energy"]["structural_error.serving.energy"], 1, rel_tol=0.02)


def test_the_tail_bends_the_structural_error_and_the_ranges_count_in_part():
    # ends of the 90 % interval stay; the 50 % end is range to the power (z(0.75) / z(0.95))^tail = 0.41^tail
    bare = phases(exactly(load_profile("h100-sxm")), stack=exactly(load_stack("serving")))
    error = NOTHING | {
        "structural_error.serving.energy": Quantity(1.0, "1", 0.8, 1.5),
        "structural_error.serving.energy_tail": Quantity(2.0),
    }
    found = propagate(bare, error)
    part = (NormalDist().inv_cdf(0.75) / END) ** 2
    for level, exponent in ((0.9, 1), (0.5, part)):
        assert math.isclose(found.interval(level)[1], 1.5**exponent, rel_tol=ONE_PERCENT)
    # half of the ranges' width: the square root of the interval
    full, half = (propagate(phases(load_profile("h100-sxm")), NOTHING | extra, shares=False) for extra in ({}, halved("energy")))
    assert math.isclose(math.log(half.interval()[1]), math.log(full.interval()[1]) / 2, rel_tol=ONE_PERCENT)
    assert half.quantiles["time"] == full.quantiles["time"]
    assert not full.shares["energy"]


def halved(figure):
    return {f"structural_error.serving.{figure}_ranges": Quantity(0.5)}


def test_idle_power_that_one_quantity_makes_has_its_quantiles():
    # no leakage, no clock tree, no memory: power = board, so its interval is the range itself, and the half interval is
    # the range to the power z(0.75) / z(0.95) = 0.41 on each side
    profile = exactly(load_profile("h100-sxm"))
    board = Quantity(16.0, "W", 5.0, 30.0)
    alone = changed(
        profile, process={"leakage": Quantity(0.0)}, clock={"tree_capacitance": Quantity(0.0)}, memory={"idle_power": Quantity(0.0)},
        power={"board": board},
    )  # fmt: skip
    found = propagate_idle(alone, NOTHING)
    part = NormalDist().inv_cdf(0.75) / END
    for level, exponent in ((0.9, 1), (0.5, part)):
        low, high = found.interval(level, "power")
        assert math.isclose(low, (5 / 16) ** exponent, rel_tol=ONE_PERCENT)
        assert math.isclose(high, (30 / 16) ** exponent, rel_tol=ONE_PERCENT)


def test_waiting_for_the_host_varies_as_the_host_does():
    # energy = power × step overhead and nothing else varies, so energy and time have the quantiles of the overhead
    stack = exactly(load_stack("serving")).model_copy(update={"step_overhead": Quantity(3e-4, "s", 1e-4, 2e-3)})
    found = propagate([host_gaps(exactly(load_profile("h100-sxm")), stack, steps=3)], NOTHING)
    for figure in ("energy", "time"):
        low, high = found.interval(0.9, figure)
        assert math.isclose(low, 1 / 3, rel_tol=ONE_PERCENT)
        assert math.isclose(high, 20 / 3, rel_tol=ONE_PERCENT)
        assert math.isclose(found.shares[figure]["stack.step_overhead"], 1, rel_tol=0.02)
    low, high = found.interval(0.9, "power")
    assert math.isclose(low, high, rel_tol=1e-9)


WIDENED = ["leakage", "full_adder_capacitance", "flip_flop_capacitance"]


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(WIDENED), st.floats(1.05, 3.0))
def test_widening_one_range_never_narrows_the_interval(name, factor):
    profile = load_profile("a100-sxm-80gb")
    given = getattr(profile.process, name)
    wider = Quantity(float(given), given.unit, given.low / factor, given.high * factor)
    widths = []
    for chip in (profile, changed(profile, process={name: wider})):
        low, high = propagate(phases(chip, m=64), NOTHING, 512).interval(0.9)
        widths.append(math.log(high / low))
    assert widths[1] >= widths[0] * (1 - 0.02)  # 512 points place a quantile within some percent of the spread


@settings(max_examples=10, deadline=None)
@given(st.sampled_from(["v100-sxm2-16gb", "h100-sxm", "t4"]), st.sampled_from([16, 512, 4096]))
def test_shares_of_the_variance_are_ranked_fairly_and_never_exceed_one(name, m):
    found = propagate(phases(load_profile(name), m=m), NOTHING, 512)
    for figure in FIGURES:
        shares = np.array(list(found.shares[figure].values()))
        assert shares.min() > -0.02
        assert 0 < shares.sum() <= 1 + 1e-9


def test_phases_read_from_a_file_are_refused_with_what_to_do():
    with pytest.raises(EstimatorError, match="do not hold what they were priced from.*estimate again"):
        propagate([replace(phases(load_profile("t4"))[0], basis=None)], NOTHING)
