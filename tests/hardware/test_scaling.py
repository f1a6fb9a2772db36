"""Another technology, or more and fewer parts: what hangs on the change follows, everything else stays."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator.errors import InvalidSetting, ProfileError, UnknownName
from estimator.facts import load_facts
from estimator.hardware.catalogue import list_profiles, load_profile
from estimator.hardware.events import event_energy
from estimator.hardware.power import leakage, voltage_at
from estimator.hardware.scaling import find_node
from estimator.transistor.nodes import list_nodes, load_node
from tests.strategies import between, shares

H100, V100 = load_profile("h100-sxm"), load_profile("v100-sxm2-16gb")
SHARES = load_facts("physics/what_if")
profiles = st.sampled_from(list_profiles()).map(load_profile)
nodes = st.sampled_from(list_nodes())
PARTS = {"register_bit": "register_file", "shared_bit": "shared_memory", "l2_bit": "l2"}


@given(profiles, nodes, shares)
def test_a_smaller_node_never_costs_more_dynamic_energy_at_its_voltage(profile, node, share):
    clock = profile.clock.minimum + share * (profile.clock.boost - profile.clock.minimum)
    moved = profile.on_node(node)
    here, there = (event_energy(part, voltage_at(part, clock)) for part in (profile, moved))
    smaller = moved.process.node_nm < profile.process.node_nm
    if smaller:
        assert all(there[event] <= here[event] * (1 + 1e-9) for event in here)
        assert moved.die.area is None or moved.die.area <= profile.die.area
        assert all(there[event] < here[event] for event in ("full_adder", "clock_cycle", "instruction")) or moved.process.node_nm in (6, 12)


@given(profiles, nodes, nodes)
def test_two_steps_end_where_one_step_ends(profile, first, second):
    straight, around = profile.on_node(second), profile.on_node(first).on_node(second)
    for path, value in straight.quantities().items():
        assert math.isclose(value, around.quantities()[path], rel_tol=1e-9), path


@given(profiles, nodes)
def test_what_the_node_does_not_set_stays(profile, node):
    moved = profile.on_node(node)
    for section in ("tensor", "vector", "links", "power", "thermal", "achievable"):
        assert getattr(moved, section) == getattr(profile, section)
    assert moved.clock.boost == profile.clock.boost
    assert moved.die.transistors == profile.die.transistors
    assert moved.memory.energy_per_bit == profile.memory.energy_per_bit


@given(profiles, nodes)
def test_scaled_numbers_are_derived_and_less_certain(profile, node):
    moved = profile.on_node(node)
    if moved is profile:
        return
    for part in ("register_file", "shared_memory", "l2"):
        before, after = getattr(profile, part).bit_capacitance, getattr(moved, part).bit_capacitance
        assert after.status == "derived"
        assert after.high / after.low > before.high / before.low


def test_a_part_on_its_own_node_is_itself():
    assert H100.on_node(H100.process.name) is H100
    assert V100.on_node("n12ffn") is V100


def test_a_capacitance_is_scaled_as_its_gates_and_its_wires_are():
    # V100 (12FFN) to N3E by hand. With w the share of wire at N7, C = (1 - w) · SRAM bit + w · side of the die, each relative
    # to N7; E = C V² with V ∝ nominal V
    old, new, n7 = load_node("n12ffn"), load_node("n3"), load_node("n7")
    volts = new.nominal_voltage / old.nominal_voltage
    here, there = event_energy(V100, 0.8), event_energy(V100.on_node("n3"), 0.8 * volts)
    for event, part in PARTS.items():
        w = SHARES["wire_share"][part]
        size = {
            node: (1 - w) * node.sram_bit_capacitance / n7.sram_bit_capacitance
            + w * (n7.transistor_density / node.transistor_density) ** 0.5
            for node in (old, new)
        }
        assert math.isclose(there[event] / here[event], size[new] / size[old] * volts**2, rel_tol=1e-9)


def test_a_part_that_leaks_less_than_its_node_does_so_on_another_node_too():
    l4 = load_profile("l4")
    ratio = l4.process.leakage / load_node("n4").leakage
    assert math.isclose(l4.on_node("n3").process.leakage, load_node("n3").leakage * ratio, rel_tol=1e-9)


def test_half_a_decade_of_nodes_brings_what_foundries_claim():
    # TSMC at equal speed: -34 % power from N5 to N3E and -30 % from N7 to N5 (company briefings); our capacitances, fitted to
    # published operation energies, shrink less than a foundry's test core, so the derived range must reach the claim
    for part, node, claim in ((H100, "n3", 0.66), (load_profile("a100-sxm-80gb"), "n5", 0.70)):
        moved = part.on_node(node)
        there, here = moved.process.full_adder_capacitance, part.process.full_adder_capacitance
        volts = (moved.clock.voltage_at_boost / part.clock.voltage_at_boost) ** 2
        assert there.low / here * volts < claim < there.high / here * volts


@pytest.mark.parametrize(
    ("name", "stem"),
    [("3nm", "n3"), ("n3", "n3"), ("N3E", "n3"), ("TSMC N3E", "n3"), ("5nm", "n5"), ("4nm", "n4"), ("8nm", "s8n"), ("12nm", "n12ffn")],
)
def test_a_node_answers_to_its_names(name, stem):
    assert find_node(name) is load_node(stem)


def test_an_unknown_node_is_answered_with_the_nearest():
    with pytest.raises(UnknownName, match="unknown technology node 'n4q'. Nearest: n4, .* Give one of these, or add a file"):
        H100.on_node("n4q")


@given(profiles, st.integers(1, 400))
def test_multiprocessors_bring_their_transistors_and_with_them_leakage_and_clock(profile, count):
    ratio = count / profile.die.multiprocessors
    share = SHARES["die_share"]["multiprocessors"]
    grown = profile.with_(sm_count=count)
    expected = 1 + share * (ratio - 1)
    assert grown.die.multiprocessors == count
    assert math.isclose(grown.die.transistors / profile.die.transistors, expected, rel_tol=1e-9)
    assert math.isclose(leakage(grown, 0.8, 330.0) / leakage(profile, 0.8, 330.0), expected, rel_tol=1e-9)
    assert math.isclose(event_energy(grown, 0.8)["clock_cycle"] / event_energy(profile, 0.8)["clock_cycle"], expected, rel_tol=1e-9)


@given(between(0.1, 20.0))
def test_a_faster_memory_idles_in_proportion(factor):
    faster = H100.with_(memory_bandwidth=factor * H100.memory.bandwidth)
    assert math.isclose(faster.memory.idle_power, factor * H100.memory.idle_power, rel_tol=1e-9)
    assert faster.memory.capacity == H100.memory.capacity


def test_stacks_bring_bandwidth_capacity_idle_power_and_controllers():
    # an A100 has 5 stacks of 1024 pins; 6 of them are 1.2 of everything that is in the stacks
    part = load_profile("a100-sxm-80gb")
    more = part.with_(hbm_stacks=6)
    for name in ("bandwidth", "capacity", "idle_power", "bus_width"):
        assert math.isclose(getattr(more.memory, name), 1.2 * getattr(part.memory, name), rel_tol=1e-9)
    assert math.isclose(more.die.transistors / part.die.transistors, 1 + 0.2 * SHARES["die_share"]["memory_controllers"], rel_tol=1e-9)
    assert "6 stacks of HBM2e instead of 5" in more.what_if[-1]


def test_a_larger_cache_is_made_of_transistors():
    larger = H100.with_(l2_capacity="100 MiB")
    added = 50 * 2**20 * 8 * SHARES["die_share"]["transistors_per_bit"]
    assert math.isclose(larger.die.transistors, H100.die.transistors + added, rel_tol=1e-9)


@pytest.mark.parametrize(
    ("parts", "error", "message"),
    [
        ({"sm_count": 0}, InvalidSetting, "sm_count=0: expected a whole number of at least 1"),
        ({"sm_count": 12.5}, InvalidSetting, "sm_count=12.5: expected a whole number of at least 1"),
        (
            {"hbm_stacks": 6, "memory_capacity": "1 GiB"},
            InvalidSetting,
            "hbm_stacks was given together with .*: a stack brings both; give the",
        ),
        ({"memory_bandwidth": "6 TB"}, InvalidSetting, "memory_bandwidth='6 TB': wrong unit 'TB': expected 'B/s'"),
        ({"l2_capacity": -1}, InvalidSetting, "l2_capacity=-1: expected bytes, or '96 MiB'"),
    ],
)
def test_parts_that_cannot_be_are_refused(parts, error, message):
    with pytest.raises(error, match=message):
        H100.with_(**parts)


def test_stacks_of_a_part_without_stacks_are_refused():
    with pytest.raises(
        ProfileError, match=r"hbm_stacks=4: .* has GDDR6, and its profile does not say how many stacks .* memory_bandwidth and"
    ):
        load_profile("a40").with_(hbm_stacks=4)
