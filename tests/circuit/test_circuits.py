"""Gates, wires, the clock tree, DRAM and links."""

import itertools

import pytest
from hypothesis import given
from pytest import approx

from estimator.circuit.clock_tree import clock_power
from estimator.circuit.dram import access_energy_per_bit, activation_energy_per_bit, refresh_power
from estimator.circuit.gates import activity, full_adder, inverter, nand, nor, xor
from estimator.circuit.serdes import link_energy_per_bit, list_links, module_energy_per_bit
from estimator.circuit.wire import bits_energy, mean_distance
from estimator.errors import UnknownName
from estimator.facts import load_facts
from estimator.transistor.nodes import load_node
from estimator.transistor.switching import wire_energy
from tests.strategies import between, capacitances, counts, frequencies, shares, voltages

probabilities = between(0.0, 1.0)
HBM2 = load_facts("physics/memory")["hbm2"]


@given(probabilities, probabilities, probabilities)
def test_gates_follow_their_truth_tables(a, b, c):
    def weight(bits):
        return (a if bits[0] else 1 - a) * (b if bits[1] else 1 - b) * (c if bits[2] else 1 - c)

    def chance(truth):
        return sum(weight(bits) for bits in itertools.product((0, 1), repeat=3) if truth(*bits))

    pairs = [
        (inverter(a), lambda x, y, z: not x),
        (nand(a, b), lambda x, y, z: not (x and y)),
        (nor(a, b), lambda x, y, z: not (x or y)),
        (xor(a, b), lambda x, y, z: x != y),
        (full_adder(a, b, c)[0], lambda x, y, z: (x + y + z) % 2),
        (full_adder(a, b, c)[1], lambda x, y, z: x + y + z >= 2),
    ]
    for found, truth in pairs:
        assert 1 + found == approx(1 + chance(truth), rel=1e-12, abs=0)


@given(probabilities)
def test_no_node_is_busier_than_a_fair_coin(probability):
    assert 0 <= activity(probability) <= 1 / 4


def test_a_nand_switches_three_times_in_sixteen():
    # p = 1 - ½ · ½ = ¾, and ¾ · ¼ = 3/16
    assert activity(nand(0.5, 0.5)) == 3 / 16


@given(capacitances, counts, voltages, frequencies, shares)
def test_gating_stops_the_leaves_and_not_the_grid(grid, flip_flops, voltage, frequency, share):
    power = clock_power(grid, flip_flops, 1e-15, voltage, frequency, clocked_share=share)
    trunk = clock_power(grid, flip_flops, 1e-15, voltage, frequency, clocked_share=0)
    leaves = clock_power(0, flip_flops, 1e-15, voltage, frequency)
    assert power == approx(trunk + share * leaves, rel=1e-12, abs=0)


def test_a_clock_tree_by_hand():
    # (10 nF + 0.1 · 1e8 · 3.6 fF) · (0.8 V)² · 1.4 GHz = (10 + 36) nF · 0.64 · 1.4e9 = 41.2 W
    assert clock_power(10e-9, 1e8, 3.6e-15, 0.8, 1.4e9, clocked_share=0.1) == approx(41.216, rel=1e-9, abs=0)


@given(between(1e-6, 0.1), voltages, counts)
def test_bits_add_up_along_a_wire(length, voltage, bits):
    wire = {"capacitance_per_length": 350e-12}
    assert bits_energy(bits, length, voltage, **wire) == approx(2 * bits * wire_energy(length / 2, voltage, **wire), rel=1e-9, abs=0)


def test_a_wire_of_n7_meets_the_usual_rule():
    # Dally, HC 2023: 80 to 100 fJ/bit/mm with repeaters at 0.9 V; ¼ · 350 fF · 0.81 V² = 71 fJ, and its range holds the rule
    wire = load_node("n7").wire_capacitance
    low, high = (wire_energy(1e-3, 0.9, capacitance_per_length=c) for c in (wire.low, wire.high))
    assert wire_energy(1e-3, 0.9, capacitance_per_length=wire) == approx(70.9e-15, rel=1e-3, abs=0)
    assert low < 80e-15 < 100e-15 < high


def test_across_a_large_die_bits_travel_two_thirds_of_its_side():
    # 826 mm²: side 28.7 mm, ⅔ of it 19.2 mm
    assert mean_distance(826e-6) == approx(19.16e-3, rel=1e-3, abs=0)


@given(shares)
def test_a_row_used_in_part_costs_more_per_bit(share):
    whole = activation_energy_per_bit(909e-12, 8192, 1)
    assert activation_energy_per_bit(909e-12, 8192, share) == approx(whole / share, rel=1e-12, abs=0)


def test_an_hbm2_bit_is_the_sum_of_its_parts():
    # O'Connor et al., MICRO 2017: 3.92 pJ/bit with error correction, which the three parts leave out
    parts = access_energy_per_bit(HBM2["activation"], HBM2["movement"], HBM2["interface"])
    assert parts == approx(3.92e-12, rel=0.05, abs=0)


def test_refreshing_forty_gigabytes_takes_about_a_watt():
    # 40 GiB / 1 KiB = 4.19e7 rows · 909 pJ / 32 ms = 1.19 W
    watts = refresh_power(40 * 2**30 * 8, HBM2["row_energy"], 8 * 1024, load_facts("physics/memory")["refresh"]["interval"])
    assert watts == approx(1.19, rel=0.01, abs=0)


@given(shares)
def test_an_idle_module_costs_more_per_bit(busy):
    assert module_energy_per_bit(17, 800e9, busy) >= module_energy_per_bit(17, 800e9)


def test_published_links():
    # NVIDIA: NVLink-C2C 1.3 pJ/bit; 800 Gbit/s optics of 17 W: 17 / 800e9 = 21.25 pJ/bit
    assert link_energy_per_bit("nvlink_c2c") == approx(1.3e-12, rel=1e-9, abs=0)
    assert link_energy_per_bit("optics_800g") == approx(21.25e-12, rel=1e-9, abs=0)


def test_farther_links_cost_more():
    order = ["on_package", "nvlink_c2c", "nvlink4", "board", "optics_800g"]
    energies = [link_energy_per_bit(name) for name in order]
    assert energies == sorted(energies) and set(order) <= set(list_links())


def test_an_unknown_link_lists_the_nearest():
    with pytest.raises(UnknownName, match=r"unknown link 'nvlink9'\. Nearest: nvlink.*`list_links\(\)` gives all of them"):
        link_energy_per_bit("nvlink9")
