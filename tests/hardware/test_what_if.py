"""Operating conditions: clock and voltage fix each other, caps and temperatures hold, operands and gates count."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator.errors import Infeasible
from estimator.facts import load_facts
from estimator.hardware.catalogue import list_profiles, load_profile
from estimator.hardware.demand import Demand
from estimator.hardware.events import count_events, event_energy
from estimator.hardware.operating_point import Load, elapsed, settle, static_power
from estimator.hardware.power import idle_power, junction_temperature, leakage, leakage_growth, voltage_at
from estimator.hardware.roofline import duration
from estimator.transistor.delay import clock_frequency, gain_through
from tests.strategies import between, shares

H100 = load_profile("h100-sxm")
profiles = st.sampled_from(list_profiles()).map(load_profile)
demands = st.builds(
    lambda macs, ops, size: Demand(
        macs=macs, mac_slots=macs, mac_format="fp32", unit="vector", vector_ops=ops, l2_bytes=size, memory_bytes=size
    ),
    between(0, 1e12), between(1e6, 1e11), between(0, 1e9),
)  # fmt: skip


def load(profile, demand):
    return Load(1.0, count_events(demand, profile), duration(demand, profile))


def clock_between(profile, share):
    return profile.clock.minimum + share * (profile.clock.boost - profile.clock.minimum)


@given(profiles, shares)
def test_a_clock_fixes_the_voltage_and_that_voltage_allows_the_clock(profile, share):
    clock = clock_between(profile, share)
    slower = profile.at(clock=clock)
    assert slower.clock.boost == clock
    assert math.isclose(slower.clock.voltage_at_boost, voltage_at(profile, clock), rel_tol=1e-9)
    assert profile.at(voltage=float(slower.clock.voltage_at_boost)).clock.boost >= clock * (1 - 1e-6)


@given(profiles, shares)
def test_a_voltage_fixes_the_clock_on_the_curve(profile, share):
    floor, ceiling = profile.clock.voltage_floor, profile.clock.voltage_at_boost
    voltage = floor + share * (ceiling - floor)
    law = {"threshold_voltage": profile.clock.threshold_voltage, "exponent": profile.clock.velocity_exponent}
    gain = gain_through(profile.clock.boost, ceiling, **law)
    assert math.isclose(profile.at(voltage=voltage).clock.boost, clock_frequency(voltage, gain=gain, **law), rel_tol=1e-9)


@given(profiles, demands, shares)
def test_the_chosen_clock_is_kept_unless_a_cap_forbids(profile, demand, share):
    slower = profile.at(clock=clock_between(profile, share))
    point = settle(slower, [load(slower, demand)])
    assert point.capped or point.clock == slower.clock.boost
    assert point.clock <= slower.clock.boost


@given(profiles, demands, shares)
def test_more_voltage_than_the_clock_needs_costs_energy_and_no_time(profile, demand, share):
    clock = clock_between(profile, share)
    needed = voltage_at(profile, clock)
    frugal, lavish = profile.at(clock=clock), profile.at(clock=clock, voltage=(needed + profile.clock.voltage_at_boost) / 2)
    free = {"power_limit": 1e5, "temperature": "30 degC"}
    first, second = (settle(p.at(**free), [load(p, demand)]) for p in (frugal, lavish))
    assert first.clock == second.clock
    assert first.power <= second.power * (1 + 1e-12)


@given(profiles, demands, between(0.3, 1.0), between(0.0, 1.0))
def test_the_power_never_exceeds_the_cap(profile, demand, cap, activity):
    watts = cap * profile.power.limit
    capped = profile.at(power_limit=watts, activity=activity)
    try:
        point = settle(capped, [load(profile, demand)])
    except Infeasible as refused:
        assert "draws standing still" in str(refused)
        assert standing(profile) > 0.99 * watts
    else:
        assert point.power <= watts * (1 + 1e-9) or at_its_floor(capped, point)


def at_its_floor(profile, point):
    """Whether the limiter has gone as low as it goes, where it exceeds the limit instead of pausing."""
    lowest = profile.clock.capped_minimum
    return lowest is not None and point.capped and point.clock == lowest


def standing(profile):
    """W at the lowest clock with a process but no kernel, the junction in balance."""
    clock = float(profile.clock.minimum)
    quiet = Load(1.0, {}, duration(Demand(interval=1.0), profile))
    return settle(profile.at(power_limit=1e5), [quiet], clock).power


@given(profiles, demands, between(0.5, 6.0))
def test_the_junction_never_exceeds_its_limit_as_long_as_the_part_can_stand_still(profile, demand, worse_cooling):
    poor = profile.at(thermal_resistance=profile.thermal.resistance * worse_cooling)
    try:
        point = settle(poor, [load(poor, demand)])
    except Infeasible as refused:
        assert "thermal runaway" in str(refused)
        with pytest.raises(Infeasible, match="thermal runaway"):
            standing(poor)
    else:
        assert point.temperature <= poor.thermal.limit * (1 + 1e-9)
        assert math.isclose(point.temperature, poor.thermal.ambient + poor.thermal.resistance * point.power, rel_tol=1e-6)


@given(profiles, between(0.5, 1.1), between(280.0, 380.0))
def test_leakage_grows_by_its_stated_rate_per_kelvin(profile, voltage, temperature):
    # central difference of the law
    up, down = (leakage(profile, voltage, temperature + step) for step in (0.01, -0.01))
    expected = (up - down) / 0.02 / leakage(profile, voltage, temperature)
    assert math.isclose(leakage_growth(profile, voltage, temperature), expected, rel_tol=1e-5)


@given(profiles, between(0.0, 500.0), between(0.01, 3.0))
def test_a_balance_of_heat_is_the_coolest_one(profile, watts, resistance):
    poor = profile.at(thermal_resistance=resistance)
    temperature = junction_temperature(poor, 0.8, watts)

    def excess(kelvin):
        return poor.thermal.ambient + resistance * (watts + leakage(poor, 0.8, kelvin) / poor.power.regulator_efficiency) - kelvin

    last = min(temperature, float(poor.thermal.limit))
    steps = [poor.thermal.ambient + share / 40 * (last - poor.thermal.ambient) for share in range(40)]
    assert all(excess(step) > -1e-6 for step in steps)
    assert temperature == math.inf or abs(excess(temperature)) < 1e-6


@given(profiles, between(280, 360), between(1.0, 30.0))
def test_the_share_of_leakage_rises_with_the_temperature(profile, temperature, hotter):
    demand = Demand(vector_ops=1e11, memory_bytes=1e8)

    def leaking(kelvin):
        held = profile.at(temperature=kelvin, power_limit=1e5)
        point = settle(held, [load(held, demand)])
        return leakage(held, point.voltage, point.temperature) / point.power

    assert leaking(temperature) < leaking(temperature + hotter)


@given(profiles, demands)
def test_energy_at_fixed_work_falls_and_then_rises_with_the_clock(profile, demand):
    # U-shaped: no clock between two others costs more than both
    free = profile.at(power_limit=1e5, temperature="40 degC")
    joules = []
    for step in range(25):
        point = settle(free, [load(free, demand)], clock_between(free, step / 24))
        joules.append(point.power * elapsed([load(free, demand)], point))
    for low in range(25):
        for middle in range(low + 1, 24):
            assert joules[middle] <= max(joules[low], max(joules[middle + 1 :])) * (1 + 1e-9)


@given(profiles, demands, shares)
def test_no_part_of_the_catalogue_exceeds_its_cap_whatever_it_runs(profile, demand, share):
    # any cap between what the part draws standing still at its lowest clock and its default
    floor = 1.2 * settle(profile, [load(profile, Demand(interval=1.0))], float(profile.clock.minimum)).power
    capped = profile.at(power_limit=max(floor, share * profile.power.limit))
    point = settle(capped, [load(capped, demand)])
    assert point.power <= capped.power.limit * (1 + 1e-9) or at_its_floor(capped, point)
    assert point.temperature <= capped.thermal.limit * (1 + 1e-9)


@given(profiles, demands)
def test_zeros_cost_less_than_real_weights_and_those_no_more_than_lively_data(profile, demand):
    free = profile.at(power_limit=1e5, temperature="40 degC")
    zeros, ones, weights, lively = (settle(free.at(activity=a), [load(free, demand)]).power for a in ("zeros", "ones", "weights", 1.5))
    assert zeros < ones < weights < lively


def test_random_operands_are_the_default_to_the_last_digit():
    again = H100.at(activity="random")
    assert event_energy(again, 0.8) == event_energy(H100, 0.8)


def test_what_is_clocked_does_not_follow_the_operands():
    # a flip-flop's clock pins and a register bank's precharge stay: 1 - data_share of the energy at random data
    zeros, random = event_energy(H100.at(activity="zeros"), 0.8), event_energy(H100, 0.8)
    share = load_facts("physics/what_if")["data_share"]
    assert zeros["clock_cycle"] == random["clock_cycle"]
    assert zeros["instruction"] == random["instruction"]
    assert zeros["full_adder"] == 0
    for event in ("flip_flop_bit", "register_bit", "dram_bit"):
        assert math.isclose(zeros[event], (1 - share[event]) * random[event], rel_tol=1e-12)


@given(profiles, shares)
def test_power_gating_leaves_the_rest_and_the_residual_of_what_it_cuts_off(profile, asleep):
    residual = load_facts("physics/what_if")["power_gating"]["residual"]
    gated = profile.at(power_gating=asleep)
    expected = leakage(profile, 0.8, 330.0) * (1 - asleep + asleep * residual)
    assert math.isclose(leakage(gated, 0.8, 330.0), expected, rel_tol=1e-12)


@given(profiles, shares)
def test_clock_gating_stops_its_share_of_the_tree_between_kernels(profile, stopped):
    still = static_power(profile.at(clock_gating=stopped), 1e9, 0.8, 330.0)
    assert math.isclose(still.clock_gated, (1 - stopped) * still.clock_active, rel_tol=1e-9)


def test_texts_with_units_say_the_same_as_numbers():
    words = H100.at(clock="1.2 GHz", power_limit="400 W", ambient="35 degC", thermal_resistance="0.1 K/W")
    numbers = H100.at(clock=1.2e9, power_limit=400, ambient=308.15, thermal_resistance=0.1)
    assert words.model_dump() == numbers.model_dump()


def test_a_what_if_says_what_it_changed_and_leaves_the_part_alone():
    before = H100.model_dump()
    what_if = H100.at(clock="1.2 GHz").at(power_limit=400, activity="zeros")
    assert what_if.name == "NVIDIA H100 SXM5 80GB, 1.2 GHz, 400 W cap, zeros"
    assert [text.partition(",")[0] for text in what_if.what_if] == [
        "what-if: clock at most 1.2 GHz",
        "what-if: power cap 400 W instead of 700 W",
        "what-if: operand bits toggle 0 times as often as those of random data",
    ]
    assert H100.model_dump() == before
    assert load_profile(what_if.model_dump()) == what_if


def test_what_the_user_sets_is_marked_as_such():
    what_if = H100.at(clock="1.2 GHz")
    assert what_if.clock.boost.source == "set by a what-if"
    assert what_if.clock.voltage_at_boost.status == "derived"
    assert what_if.clock.voltage_at_boost.low < what_if.clock.voltage_at_boost < what_if.clock.voltage_at_boost.high


def test_a_memory_that_is_clocked_only_while_a_process_runs_draws_it_then_and_not_at_idle():
    # 50 W more behind a regulator of efficiency η, and the leakage that their heat adds
    lazy, eager = (
        load_profile({"inherits": "a40", "memory": {"idle_power": "6 W", "clocked_power": f"{watts} W"}, "source": "test"})
        for watts in (6, 56)
    )
    quiet = Demand(vector_ops=1e6, overhead=1.0)
    lazy, eager = (part.at(temperature="40 degC", power_limit=1e4) for part in (lazy, eager))
    more = settle(eager, [load(eager, quiet)]).power - settle(lazy, [load(lazy, quiet)]).power
    assert math.isclose(more, 50 / lazy.power.regulator_efficiency, rel_tol=1e-9)
    assert idle_power(eager) == idle_power(lazy)
    assert math.isclose(eager.with_(memory_bandwidth=2 * eager.memory.bandwidth).memory.clocked_power, 112, rel_tol=1e-9)
