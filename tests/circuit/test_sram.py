"""SRAM energy against capacity: the array, and a tree as long as its side."""

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from pytest import approx

from estimator.circuit.sram import array_side, bit_capacitance, register_bit_capacitance, sram_bit_capacitance
from estimator.errors import ProfileError
from estimator.facts import load_facts
from estimator.quantity import Quantity
from estimator.transistor.nodes import list_nodes, load_node
from tests.strategies import between

KIB = 8 * 1024  # bits
CAPACITY = {"8KiB": 8 * KIB, "32KiB": 32 * KIB, "1MiB": 1024 * KIB}
PUBLISHED = load_facts("physics/memory")["sram"]["published"]
CACTI = tomllib.loads((Path(__file__).parents[1] / "reference" / "cacti_sram.toml").read_text(encoding="utf-8"))["fit"]
capacities = between(1e3, 1e9)


def energies(name):
    """{size: (predicted, published)} in J/bit."""
    facts = PUBLISHED[name]
    node = load_node(facts["node"])
    return {size: (sram_bit_capacitance(bits, node) * facts["voltage"] ** 2, facts[size]) for size, bits in CAPACITY.items()}


@given(capacities, between(1.01, 100))
def test_a_larger_array_costs_more_per_bit_but_less_than_its_growth(capacity, growth):
    node = load_node("n7")
    small, large = sram_bit_capacitance(capacity, node), sram_bit_capacitance(growth * capacity, node)
    assert small < large < growth * small


@given(capacities)
def test_energy_over_the_root_of_capacity_is_a_straight_line(capacity):
    node = load_node("n7")
    first, second, third = (sram_bit_capacitance((capacity**0.5 + step) ** 2, node) for step in (0, 1000, 2000))
    assert third - second == approx(second - first, rel=1e-6, abs=0)


@pytest.mark.parametrize("name", list_nodes())
def test_every_node_knows_its_reference_array(name):
    assert sram_bit_capacitance(32 * KIB, load_node(name)) == approx(load_node(name).sram_bit_capacitance, rel=1e-12, abs=0)


def test_side_and_tree_by_hand():
    # 1 MiB of 0.054 um² per bit: sqrt(8388608 · 0.054e-12 m²) = 0.673 mm; four times the bits, twice the side
    side = array_side(1024 * KIB, bit_area=0.054e-12)
    assert side == approx(0.673e-3, rel=1e-3, abs=0)
    # the tree grows by ½ · 350 pF/m · 0.673 mm = 118 fF when the side doubles to 1.346 mm
    grown = bit_capacitance(4096 * KIB, known=0, known_capacity=1024 * KIB, wire_capacitance=350e-12, bit_area=0.054e-12, reach=0.5)
    assert grown == approx(117.8e-15, rel=1e-3, abs=0)


def test_three_published_seven_nanometre_arrays():
    for predicted, published in energies("tpu_v4i_7nm").values():
        assert predicted == approx(published, rel=0.08, abs=0)


@pytest.mark.parametrize("fit", CACTI, ids=lambda fit: fit["node"])
def test_the_tree_meets_cacti_at_older_nodes(fit):
    node = load_node(fit["node"])
    step = sram_bit_capacitance(1024 * KIB, node) - sram_bit_capacitance(256 * KIB, node)  # √1 MiB - √¼ MiB = ½
    assert 2 * step * fit["voltage"] ** 2 == approx(fit["per_root_mebibyte_fj"] * 1e-15, rel=0.08, abs=0)


def test_horowitz_caches_are_known_to_grow_faster_than_arrays():
    # His 8 KB to 1 MB energies grow tenfold, nearly as the root of the capacity: caches with tags and ways, not one array. The bare
    # array of CACTI at 45 nm and 1 MB takes 942 fJ/bit at 1.0 V, which is 763 at his 0.9 V: near the law, at half his figure.
    rows = energies("horowitz_45nm")
    assert rows["8KiB"][0] > 1.5 * rows["8KiB"][1] and rows["1MiB"][0] < 0.6 * rows["1MiB"][1]
    assert rows["1MiB"][0] == approx(763e-15, rel=0.05, abs=0)


def test_a_register_pays_its_bank_and_the_wire_to_the_latches():
    # 50 fF + ¼ · 350 pF/m · 0.5 mm = 50 + 43.75 fF
    assert register_bit_capacitance(50e-15, 0.5e-3, wire_capacitance=350e-12, activity=1 / 4) == approx(93.75e-15, rel=1e-9, abs=0)


def test_a_node_without_a_cell_says_what_is_missing():
    odd = replace(load_node("n7"), name="N4711", node_nm=Quantity(47.11))
    with pytest.raises(ProfileError, match=r"no sram\.cell_area for N4711 \(47\.11 nm\); add it, with its source"):
        sram_bit_capacitance(KIB, odd)
