"""Clock, voltage, temperature and power settle together under the cap."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator.errors import Infeasible
from estimator.hardware.catalogue import load_profile
from estimator.hardware.demand import Demand
from estimator.hardware.events import count_events
from estimator.hardware.operating_point import Load, settle, static_power
from estimator.hardware.power import idle_power, voltage_at
from estimator.hardware.roofline import duration
from tests.strategies import between

NAMES = ("v100-sxm2-16gb", "a100-sxm-80gb", "h100-sxm", "b200-sxm")
profiles = st.sampled_from(NAMES).map(load_profile)
demands = st.builds(
    lambda flop, size, ops: Demand(
        macs=flop / 2, mac_slots=flop / 2, mac_format="fp16", vector_ops=ops, l2_bytes=size, memory_bytes=size, overhead=3e-6
    ),
    between(0, 1e13), between(0, 1e10), between(0, 1e11),
)  # fmt: skip


def load(profile, demand, launches=1.0):
    return Load(launches, count_events(demand, profile), duration(demand, profile))


def with_limit(profile, watts):
    return profile.model_copy(update={"power": profile.power.model_copy(update={"limit": watts})})


@given(profiles, demands)
def test_the_power_never_exceeds_the_cap_and_never_falls_below_the_static_power(profile, demand):
    point = settle(profile, [load(profile, demand)])
    still = static_power(profile, point.clock, point.voltage, point.temperature)
    floor = (still.leakage + still.memory_idle) / profile.power.regulator_efficiency + still.board
    assert floor * (1 - 1e-6) <= point.power <= profile.power.limit * (1 + 1e-6)
    assert profile.clock.minimum <= point.clock <= profile.clock.boost


@given(profiles, demands)
def test_the_settled_temperature_is_the_one_that_the_settled_power_causes(profile, demand):
    point = settle(profile, [load(profile, demand)])
    expected = profile.thermal.ambient + profile.thermal.resistance * point.power
    assert math.isclose(point.temperature, expected, rel_tol=1e-5)


@given(profiles, between(0.05, 1.0), between(0.05, 1.0))
def test_voltage_never_falls_as_the_clock_rises(profile, first, second):
    low, high = sorted((first, second))
    span = profile.clock.boost - profile.clock.minimum
    assert voltage_at(profile, profile.clock.minimum + low * span) <= voltage_at(profile, profile.clock.minimum + high * span)


@pytest.mark.parametrize("name", NAMES)
def test_a_lower_cap_lowers_clock_and_voltage_and_costs_time(name):
    profile = load_profile(name)
    work = load(profile, Demand(macs=5e14, mac_slots=5e14, mac_format="fp16", l2_bytes=1e10, memory_bytes=1e9))
    free, capped = settle(profile, [work]), settle(with_limit(profile, 0.6 * profile.power.limit), [work])
    assert capped.capped
    assert capped.clock < free.clock
    assert capped.voltage <= free.voltage
    assert math.isclose(capped.power, 0.6 * profile.power.limit, rel_tol=1e-4)


def test_memory_bound_work_keeps_its_speed_under_a_cap_that_only_slows_the_core():
    profile = load_profile("a100-sxm-80gb")
    work = load(profile, Demand(vector_ops=1e6, l2_bytes=1e9, memory_bytes=1e9))
    free = settle(profile, [work])
    capped = settle(with_limit(profile, 0.9 * free.power), [work])
    assert capped.clock < free.clock
    assert math.isclose(work.duration.seconds(capped.clock), work.duration.seconds(free.clock), rel_tol=1e-12)


def test_below_the_lowest_clock_the_cap_is_kept_by_pausing():
    profile = load_profile("h100-sxm")
    work = load(profile, Demand(vector_ops=1.0, memory_bytes=1e10))
    slow = with_limit(profile, idle_power(profile) * 1.3)
    point = settle(slow, [work])
    assert point.stretch > 1
    assert math.isclose(point.power, slow.power.limit, rel_tol=1e-9)


def test_a_cap_below_the_standing_power_is_refused_with_the_lowest_possible():
    profile = with_limit(load_profile("h100-sxm"), 20.0)
    with pytest.raises(Infeasible, match=r"power limit of 20 W is below what .* draws standing still .*allow more than"):
        settle(profile, [load(profile, Demand(memory_bytes=1e9))])


def test_leakage_that_outgrows_the_cooling_is_called_a_runaway():
    profile = load_profile("h100-sxm")
    hot = profile.model_copy(update={"thermal": profile.thermal.model_copy(update={"ambient": 600.0, "resistance": 3.0})})
    with pytest.raises(Infeasible, match="thermal runaway"):
        settle(with_limit(hot, 1e9), [load(hot, Demand(memory_bytes=1e9))])
