"""The best operating point: against the closed form, against brute force, and within what is asked."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from estimator.errors import EstimatorError, Infeasible, InvalidSetting, UnknownName
from estimator.hardware.catalogue import list_profiles, load_profile
from estimator.hardware.demand import Demand
from estimator.hardware.events import count_events
from estimator.hardware.operating_point import Load, elapsed, settle
from estimator.hardware.power import voltage_at
from estimator.hardware.roofline import duration
from estimator.report.estimate import Estimate
from estimator.run.optimum import best_operating_point
from estimator.run.phase import Basis, Phase
from estimator.transistor.delay import minimum_energy_delay_voltage
from tests.strategies import between

H100 = load_profile("h100-sxm")
COMPUTE = Demand(macs=1e13, mac_slots=1e13, mac_format="fp32", unit="vector", l2_bytes=1e6)
profiles = st.sampled_from(list_profiles()).map(load_profile)
demands = st.builds(
    lambda macs, size: Demand(macs=macs, mac_slots=macs, mac_format="fp32", unit="vector", vector_ops=1e6, memory_bytes=size),
    between(0, 1e12), between(0, 1e9),
)  # fmt: skip


def phase(profile, *demands):
    loads = tuple(Load(1.0, count_events(demand, profile), duration(demand, profile)) for demand in demands)
    return Phase("forward", 1.0, settle(profile, loads), (), Basis(profile, loads))


def estimated(*phases):
    return Estimate(model="m", hardware="h", stack="s", run={"kind": "Inference"}, phases=phases)


def switching_only(threshold, exponent):
    """A chip that neither leaks nor idles, under no cap, with a curve far beyond the optimum."""
    none = {"leakage": 0.0}, {"idle_power": 0.0}, {"board": 0.0, "limit": 1e9}
    process, memory, power = (part.model_copy(update=update) for part, update in zip((H100.process, H100.memory, H100.power), none))
    curve = {
        "threshold_voltage": threshold,
        "voltage_floor": threshold * 1.01,
        "voltage_at_boost": 4 * threshold,
        "velocity_exponent": exponent,
    }
    clock = H100.clock.model_copy(update=curve | {"minimum": 1e6})
    thermal = H100.thermal.model_copy(update={"resistance": 0.0})
    return H100.model_copy(update={"process": process, "memory": memory, "power": power, "clock": clock, "thermal": thermal})


@given(between(0.2, 0.5), between(1.05, 1.6))
@settings(max_examples=25)
def test_switching_alone_has_its_least_energy_delay_at_the_closed_form(threshold, exponent):
    # E ∝ V² and D ∝ V / (V - Vt)^a: V = 3 Vt / (3 - a)
    found = best_operating_point([phase(switching_only(threshold, exponent), COMPUTE)], "energy_delay")
    assert math.isclose(found.voltage, minimum_energy_delay_voltage(threshold, exponent), rel_tol=1e-3)


def test_switching_alone_takes_least_energy_at_the_lowest_voltage_and_least_time_at_the_highest():
    part = phase(switching_only(0.3, 1.2), COMPUTE)
    assert math.isclose(best_operating_point([part], "energy").voltage, 1.01 * 0.3, rel_tol=1e-9)
    assert math.isclose(best_operating_point([part], "time").clock, H100.clock.boost, rel_tol=1e-9)


@given(profiles, st.lists(demands, min_size=1, max_size=3), st.sampled_from(["energy", "energy_delay", "time"]))
@settings(max_examples=30)
def test_no_clock_tried_by_brute_force_is_better(profile, mix, objective):
    parts = [phase(profile, demand) for demand in mix]
    found = best_operating_point(parts, objective)

    def cost(energy, time):
        return {"energy": energy, "energy_delay": energy * time, "time": time}[objective]

    for step in range(200):
        clock = profile.clock.minimum + step / 199 * (profile.clock.boost - profile.clock.minimum)
        points = [settle(profile, part.basis.loads, clock) for part in parts]
        times = [elapsed(part.basis.loads, point) for part, point in zip(parts, points)]
        energy = sum(point.power * time for point, time in zip(points, times))
        assert cost(found.energy, found.time) <= cost(energy, sum(times)) * (1 + 1e-4)


@given(profiles, demands)
@settings(max_examples=30)
def test_holding_the_part_at_the_optimum_gives_the_energy_and_time_it_promised(profile, demand):
    found = best_operating_point([phase(profile, demand)], "energy")
    held = profile.at(clock=found.clock)
    again = phase(held, demand)
    seconds = elapsed(again.basis.loads, again.point)
    assert math.isclose(seconds, found.time, rel_tol=1e-9)
    assert math.isclose(seconds * again.point.power, found.energy, rel_tol=1e-6)
    assert math.isclose(voltage_at(profile, found.clock), found.voltage, rel_tol=1e-9)


@given(between(1.0, 2.0))
@settings(max_examples=25)
def test_a_limit_on_time_is_kept_and_costs_energy(slack):
    part = phase(H100, COMPUTE)
    free, usual = best_operating_point([part], "energy"), best_operating_point([part], "time").time
    bound = best_operating_point([part], "energy", limit=slack * usual)
    assert bound.time <= slack * usual
    assert bound.energy >= free.energy * (1 - 1e-9)
    assert bound.time >= min(slack * usual, free.time) * (1 - 1e-6)  # as slow as it may be, for that is frugal


def test_memory_bound_work_runs_at_a_low_clock_for_no_time():
    found = best_operating_point([phase(H100, Demand(vector_ops=1e9, memory_bytes=1e11))], "energy", limit=None)
    assert found.time <= found.usual.time * 1.01
    assert found.energy < 0.8 * found.usual.energy


def test_the_usual_run_is_the_estimate():
    part = phase(H100, COMPUTE)
    found = estimated(part).best_operating_point()
    assert found.usual.clock == H100.clock.boost
    assert math.isclose(found.usual.energy, part.point.power * elapsed(part.basis.loads, part.point), rel_tol=1e-9)
    assert "less energy" in str(found)


def test_a_limit_that_no_clock_keeps_is_refused_with_the_least():
    part = phase(H100, COMPUTE)
    least = best_operating_point([part], "time").time
    with pytest.raises(
        Infeasible, match=r"limit=.* s: at no clock from 345 MHz to 1.98 GHz does the run keep that time; the least is .* s"
    ):
        best_operating_point([part], "energy", limit=0.5 * least)
    with pytest.raises(Infeasible, match="does the run keep that energy; the least is .* J, so allow at least that"):
        best_operating_point([part], "time", limit=1.0)


def test_bad_questions_are_refused():
    part = phase(H100, COMPUTE)
    with pytest.raises(UnknownName, match="unknown objective 'power'. .*objective="):
        best_operating_point([part], "power")
    with pytest.raises(InvalidSetting, match="limit=-1: expected a finite number above zero"):
        best_operating_point([part], "energy", limit=-1)


def test_an_estimate_read_from_json_says_that_it_cannot_be_searched():
    again = Estimate.from_json(estimated(phase(H100, COMPUTE)).to_json())
    with pytest.raises(EstimatorError, match="read from JSON, which does not hold the launches; estimate the run again"):
        again.best_operating_point()
