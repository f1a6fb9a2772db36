"""FLOP and bytes become switching events, events become joules."""

import math

from hypothesis import given

from estimator.circuit.arithmetic import full_adders
from estimator.hardware.catalogue import load_profile
from estimator.hardware.demand import Demand
from estimator.hardware.events import BITS_PER_BYTE, count_events, event_energy
from tests.strategies import counts, voltages

H100 = load_profile("h100-sxm")


@given(voltages)
def test_core_events_follow_the_square_of_the_voltage_and_dram_and_links_do_not(voltage):
    once, doubled = event_energy(H100, voltage), event_energy(H100, 2 * voltage)
    for event in once:
        factor = 1 if event == "dram_bit" or event.startswith("link_bit") else 4
        assert math.isclose(doubled[event], factor * once[event], rel_tol=1e-12)


@given(counts)
def test_events_are_proportional_to_the_work(amount):
    one = count_events(Demand(macs=1.0, mac_format="bf16", vector_ops=1.0, special_ops=1.0, l2_bytes=1.0, memory_bytes=1.0), H100)
    many = count_events(
        Demand(macs=amount, mac_format="bf16", vector_ops=amount, special_ops=amount, l2_bytes=amount, memory_bytes=amount), H100
    )
    assert one.keys() == many.keys()
    assert all(math.isclose(many[key], amount * one[key], rel_tol=1e-12) for key in one)


def test_no_work_is_no_event():
    assert count_events(Demand(), H100) == {}


def test_a_byte_of_memory_is_eight_bits_at_the_controller_and_the_dram():
    events = count_events(Demand(memory_bytes=3.0), H100)
    assert events == {("memory", "controller_bit"): 3.0 * BITS_PER_BYTE, ("memory", "dram_bit"): 3.0 * BITS_PER_BYTE}


def test_a_tensor_multiply_add_switches_the_adders_of_a_dot_product():
    # one bf16 multiply-add on Hopper is one term of a dot product of `dot_length` terms
    events = count_events(Demand(macs=1.0, mac_format="bf16"), H100)
    expected = full_adders("dot", "bf16", dot_length=float(H100.tensor.dot_length))
    assert math.isclose(events["tensor units", "full_adder"], expected, rel_tol=1e-12)


def test_a_narrower_format_switches_less_on_the_tensor_units():
    energy = event_energy(H100, 1.0)

    def joules(number_format):
        return sum(n * energy[event] for (_, event), n in count_events(Demand(macs=1.0, mac_format=number_format), H100).items())

    assert joules("fp8") < joules("bf16") < joules("tf32")
