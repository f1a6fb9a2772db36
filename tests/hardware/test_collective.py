"""Exchanges between devices: bytes, steps, seconds."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest import approx

from estimator.errors import InvalidSetting, UnknownName
from estimator.hardware.catalogue import load_profile
from estimator.hardware.collective import KINDS, collective, fastest_link, link_of, link_seconds, tiered, with_link
from estimator.hardware.schema import Link
from tests.strategies import between


def number(value: float, unit: str) -> dict:
    return {"value": value, "unit": unit, "source": "made up for this test", "status": "assumed"}


def made(bandwidth: float = 1e11, latency: float = 1e-6, achievable: float = 0.8, access: str = "message") -> Link:
    """A link of these numbers, in SI."""
    return Link.model_validate(
        {
            "bandwidth": number(bandwidth, "B/s"),
            "energy_per_bit": number(1e-11, "J/bit"),
            "latency": number(latency, "s"),
            "achievable": number(achievable, "1"),
            "access": access,
        }
    )


kinds = st.sampled_from(KINDS)
ranks = st.integers(2, 512)
sizes = between(1.0, 1e12)
accesses = st.sampled_from(["memory", "message"])


@given(kinds, sizes, accesses)
def test_one_rank_exchanges_nothing(kind, size, access):
    alone = collective(kind, size, 1, made(access=access))
    assert (alone.link_bytes, alone.steps, alone.seconds) == (0, 0, 0)


@given(kinds, ranks, sizes, accesses)
def test_seconds_are_those_of_the_bytes_and_steps(kind, n, size, access):
    link = made(access=access)
    one = collective(kind, size, n, link)
    assert one.seconds == approx(link_seconds(link, one.link_bytes, one.steps), rel=1e-12, abs=0)


@given(kinds, ranks, sizes, accesses)
def test_more_bytes_never_take_less_time(kind, n, size, access):
    link = made(access=access)
    assert collective(kind, 2 * size, n, link).seconds >= collective(kind, size, n, link).seconds


@given(kinds, ranks, sizes)
def test_loads_and_stores_are_never_slower_than_messages(kind, n, size):
    assert collective(kind, size, n, made(access="memory")).seconds <= collective(kind, size, n, made()).seconds


@given(kinds, ranks, sizes)
def test_a_link_without_latency_and_limits_costs_no_time(kind, n, size):
    assert collective(kind, size, n, made(bandwidth=1e300, latency=0)).seconds < 1e-200


@given(kinds, ranks, sizes, st.integers(1, 100))
def test_many_exchanges_add_up(kind, n, size, count):
    one = collective(kind, size, n, made())
    many = count * one
    assert (many.link_bytes, many.steps, many.seconds) == approx(
        [count * one.link_bytes, count * one.steps, count * one.seconds], rel=1e-12, abs=0
    )


@given(sizes, st.integers(2, 16), st.integers(2, 64), accesses)
def test_tiers_lower_the_bytes_between_nodes_to_each_ranks_part(size, inner, outer, access):
    tiers = [(inner, made(access=access), "nvlink"), (outer, made(), "infiniband")]
    inside, between_nodes, back = tiered("all_reduce", size, tiers)
    assert (inside.kind, between_nodes.kind, back.kind) == ("reduce_scatter", "all_reduce", "all_gather")
    assert between_nodes == collective("all_reduce", size / inner, outer, made(), "infiniband")


def test_a_ring_sums_with_the_fewest_bytes():
    # Each of n ranks sends n - 1 parts of size S / n while summing, and n - 1 again while gathering: 2 (n - 1) / n S in 2 (n - 1) steps.
    # 8 ranks, 1 GB: 1.75 GB at 0.8 × 100 GB/s = 21.875 ms, and 14 µs for 14 steps.
    ring = collective("all_reduce", 1e9, 8, made(), algorithm="ring")
    assert (ring.link_bytes, ring.steps) == (1.75e9, 14)
    assert ring.seconds == approx(1.75e9 / 80e9 + 14e-6, rel=1e-12, abs=0)


def test_small_sums_take_the_fewest_steps_and_large_ones_the_fewest_bytes():
    # One shot: 7 × 8 kB = 56 kB, 0.7 µs + 1 µs; two shots: 14 kB, 0.175 µs + 2 µs. At 1 GB 70 GB against 1.75 GB.
    link = made(access="memory")
    assert collective("all_reduce", 8e3, 8, link).algorithm == "one shot"
    assert collective("all_reduce", 1e9, 8, link).algorithm == "two shots"


def test_nccl_reaches_its_published_bus_bandwidth_on_a_dgx_h100():
    # nccl-tests on eight H100: 360-370 GB/s of bus bandwidth, which is 2 (n - 1) / n × size ÷ time, at large sizes
    link = load_profile("H100").links["nvlink"]
    size = 8e9
    seconds = collective("all_reduce", size, 8, link, algorithm="ring").seconds
    assert 1.75 * size / seconds == approx(365e9, rel=0.05, abs=0)


def test_a_profile_takes_a_network_link():
    profile = with_link(load_profile("H100"), "infiniband-ndr")
    assert float(link_of(profile, "infiniband").bandwidth) == 50e9
    assert "links.infiniband.energy_per_bit" in profile.quantities()
    assert fastest_link(profile) == "nvlink"


def test_errors_say_what_is_allowed():
    link = made()
    with pytest.raises(UnknownName, match=r"unknown collective 'all_reduced'\. Nearest: all_reduce"):
        collective("all_reduced", 1.0, 2, link)
    with pytest.raises(InvalidSetting, match="ranks=0: expected a whole number of devices, at least 1"):
        collective("all_reduce", 1.0, 0, link)
    with pytest.raises(UnknownName, match="unknown all_reduce algorithm 'one shot'.*These are what link can do"):
        collective("all_reduce", 1.0, 2, link, algorithm="one shot")
    with pytest.raises(InvalidSetting, match=re.escape("NVIDIA L4 has no link 'nvlink' (it has: pcie); state it in its [links]")):
        link_of(load_profile("L4"), "nvlink")
    with pytest.raises(InvalidSetting, match="link 'nvlink4' has no bandwidth of its own"):
        with_link(load_profile("L4"), "nvlink4")
    with pytest.raises(UnknownName, match="unknown link 'infiniband'. Nearest: infiniband-"):
        with_link(load_profile("H100"), "infiniband")
