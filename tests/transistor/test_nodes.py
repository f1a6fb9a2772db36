"""The technology nodes are complete, sourced, ordered, and the same thing to both of their readers."""

import math
from dataclasses import fields

import pytest

from estimator.errors import UnknownName
from estimator.hardware.schema import Process
from estimator.quantity import Quantity, dump
from estimator.transistor.nodes import Node, list_nodes, load_node

NODES = list_nodes()
FITTED = (45, 7)  # labels of the two nodes at which the full adder was fitted to published energies


@pytest.mark.parametrize("name", NODES)
def test_a_node_is_a_valid_process_of_the_hardware_schema(name):
    # as plain tables, so that the schema checks every unit again
    node = load_node(name)
    tables = {field.name: getattr(node, field.name) for field in fields(Node) if getattr(node, field.name) is not None}
    tables |= {key: dump(value) for key, value in tables.items() if isinstance(value, Quantity)} | {"node_nm": float(node.node_nm)}
    assert Process.model_validate(tables).leakage == node.leakage


def test_node_and_schema_name_the_same_quantities():
    assert {field.name for field in fields(Node)} == set(Process.model_fields)


@pytest.mark.parametrize("name", NODES)
def test_every_number_has_a_range_and_a_source(name):
    node = load_node(name)
    for field in fields(Node)[2:]:
        value = getattr(node, field.name)
        if value is not None:
            assert value.low <= value <= value.high and value.source, field.name
        if value is not None and value.status == "assumed":
            assert value.low < value.high, f"{field.name}: an assumption without a range"


def test_the_chain_from_45_to_3_nm_is_there_oldest_first():
    assert [load_node(name).node_nm for name in NODES] == sorted((load_node(name).node_nm for name in NODES), reverse=True)
    assert {"n45", "n28", "n22", "n16ff", "n12ffn", "n10", "s8n", "n7", "n6", "n5", "n4", "n4p", "n3"} <= set(NODES)


@pytest.mark.parametrize("field", ["full_adder_capacitance", "flip_flop_capacitance", "sram_bit_capacitance", "nominal_voltage"])
def test_newer_nodes_switch_less(field):
    values = [getattr(load_node(name), field) for name in NODES]
    assert all(older >= newer for older, newer in zip(values, values[1:]))


@pytest.mark.parametrize("name", ["n28", "n22", "n16ff", "n10", "s8n", "n5", "n3"])
def test_full_adders_between_and_beyond_the_fits_lie_on_their_line(name):
    old, new = (load_node(f"n{label}") for label in FITTED)
    slope = math.log(old.full_adder_capacitance / new.full_adder_capacitance) / math.log(FITTED[0] / FITTED[1])
    node = load_node(name)
    expected = new.full_adder_capacitance * (node.node_nm / FITTED[1]) ** slope
    assert node.full_adder_capacitance == pytest.approx(expected, rel=0.01, abs=0)
    assert slope == pytest.approx(0.38, rel=0.01, abs=0)


def test_a_marketing_name_inherits_its_class():
    assert load_node("n4").name == "TSMC 4N" and load_node("n4").full_adder_capacitance == load_node("n5").full_adder_capacitance


def test_an_unknown_node_lists_the_nearest():
    with pytest.raises(UnknownName, match=r"unknown technology node 's8'\. Nearest: s8n.* `list_nodes\(\)` gives all of them"):
        load_node("s8")
