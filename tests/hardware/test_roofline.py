"""Time of a kernel: its slowest resource, plus what the launch costs."""

import math

import pytest
from hypothesis import given
from hypothesis.strategies import floats
from pytest import approx

from estimator.errors import ProfileError
from estimator.hardware.catalogue import load_profile
from estimator.hardware.demand import Demand
from estimator.hardware.roofline import Duration, core_cycles, duration
from tests.strategies import counts, frequencies

H100 = load_profile("h100-sxm")


@given(counts, frequencies)
def test_time_is_at_least_that_of_each_resource_alone(amount, clock):
    demand = Demand(mac_slots=amount, mac_format="bf16", vector_ops=amount / 10, memory_bytes=amount / 100, l2_bytes=amount / 50)
    seconds = duration(demand, H100).seconds(clock)
    assert all(seconds >= cycles / clock * (1 - 1e-12) for cycles in core_cycles(demand, H100).values())
    assert seconds >= demand.memory_bytes / H100.memory.bandwidth


def test_memory_time_does_not_depend_on_the_clock_and_core_time_does():
    streaming = duration(Demand(memory_bytes=1e9), H100)
    computing = duration(Demand(mac_slots=1e12, mac_format="bf16"), H100)
    assert math.isclose(streaming.execution(1e9), streaming.execution(2e9), rel_tol=1e-12)
    assert math.isclose(computing.execution(1e9), 2 * computing.execution(2e9), rel_tol=1e-12)


def test_cycles_follow_from_units_and_achievable_share():
    # 132 SMs × 2048 bf16 multiply-adds a clock: 132 × 2048 slots take one cycle at the peak
    cycles = core_cycles(Demand(mac_slots=132 * 2048, mac_format="bf16"), H100)["tensor"]
    assert math.isclose(cycles, 1 / H100.achievable.tensor, rel_tol=1e-12)


def test_an_empty_kernel_takes_its_launch():
    waiting = Duration(0.0, "vector", 0.0, overhead=2e-6, interval=5e-6)
    assert math.isclose(waiting.seconds(1e9), 5e-6, rel_tol=1e-12)
    assert waiting.bound(1e9) == "launch"


def test_a_format_that_the_unit_lacks_is_named_with_those_it_has():
    with pytest.raises(ProfileError, match=r"no tensor rate for 'fp16'.*no such unit"):
        core_cycles(Demand(mac_slots=1.0, mac_format="fp16"), load_profile("p100-pcie"))


def test_tiles_that_follow_each_other_each_wait_for_their_first_operands():
    # ten rounds of 2500 clocks on top of the products, in the core's clock domain
    plain, filling = (duration(Demand(mac_slots=1e9, mac_format="bf16", rounds=rounds), H100) for rounds in (0.0, 10.0))
    assert math.isclose(filling.cycles - plain.cycles, 10 * H100.tensor.tile_fill, rel_tol=1e-9)


# arrays of 2^26 fp32 numbers, two read and one written: GB/s over the core clock in MHz
# V100 PCIe (blackjack2015/NV-DVFS-Benchmark, vectorAdd); RTX PRO 6000 (giordano/gpu-power-frequency-benchmarks, BabelStream)
STREAMED = {
    "v100-pcie-16gb": {802: 717, 945: 832, 1087: 831, 1237: 829, 1380: 828},
    "rtx-pro-6000-server": {1005: 1000, 1200: 1142, 1402: 1287, 1605: 1430, 1800: 1448, 2002: 1487, 2430: 1488},
}


@pytest.mark.parametrize(("name", "clock"), [(name, clock) for name, grid in STREAMED.items() for clock in grid])
def test_bandwidth_at_a_clock_is_the_published_one(name, clock):
    moved = 3 * 2**26 * 4
    rate = moved / duration(Demand(memory_bytes=moved), load_profile(name)).execution(clock * 1e6)
    assert math.isclose(rate, STREAMED[name][clock] * 1e9, rel_tol=0.07)


@given(counts, frequencies, frequencies)
def test_a_higher_clock_never_slows_memory_nor_lifts_it_above_its_bandwidth(amount, one, other):
    v100 = load_profile("v100-pcie-16gb")
    streaming = duration(Demand(memory_bytes=amount), v100)
    assert streaming.execution(max(one, other)) <= streaming.execution(min(one, other))
    assert streaming.execution(max(one, other)) >= amount / (v100.memory.bandwidth * v100.achievable.memory) * (1 - 1e-12)


def test_the_way_into_l2_takes_so_many_bytes_per_clock_and_pin():
    # 4096 pins × 0.218 B = 893 B a clock: 893 GB take 1e9 clocks, which at 500 MHz are 2 s, twice as long as the memory needs
    streaming = duration(Demand(memory_bytes=4096 * 0.218e9), load_profile("v100-pcie-16gb"))
    assert math.isclose(streaming.cycles, 1e9, rel_tol=1e-9)
    assert math.isclose(streaming.execution(500e6), 2.0, rel_tol=1e-9)
    assert streaming.bound(500e6) == "L2"
    assert streaming.bound(1380e6) == "memory"


@given(share=floats(0, 1))
def test_integer_operations_run_on_their_own_lanes_and_never_faster_than_all_lanes_would(share):
    # GH100 has 64 integer lanes beside 128 for fp32: addresses alone take twice as long, up to a half of the operations none at all
    ops = 1e9
    cycles = core_cycles(Demand(vector_ops=ops, integer_ops=share * ops), H100)
    alone = core_cycles(Demand(vector_ops=ops), H100)["vector"]
    assert max(cycles.values()) == approx(alone * max(1, 2 * share), rel=1e-9, abs=0)
