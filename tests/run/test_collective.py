"""Communication as a phase: seconds and joules of the links, and the degrees of parallelism."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest import approx

from estimator import Parallel
from estimator.errors import InvalidSetting
from estimator.hardware.catalogue import load_profile
from estimator.hardware.collective import collective
from estimator.hardware.demand import Demand
from estimator.run.collective import Exchange, communicate, exchanged
from estimator.run.entry import COMMUNICATION, Asked
from estimator.run.phase import price_asked
from estimator.run.stack import load_stack
from estimator.run.uncertainty_propagation import propagate
from tests.strategies import between

PROFILE, STACK = load_profile("H100"), load_stack("serving")


def phase(size=1e8, ranks=8, launches=1.0, exposed=1.0, kind="all_reduce"):
    one = collective(kind, size, ranks, PROFILE.links["nvlink"], "nvlink")
    return communicate([Exchange(one, launches=launches, exposed=exposed)], PROFILE, STACK)


def time_of(done):
    return sum(entry.time for entry in done.entries)


def energy_of(done):
    return sum(joules for entry in done.entries for joules in entry.energy.values())


@given(between(1e3, 1e9), st.integers(2, 64), st.integers(1, 100))
def test_phases_grow_with_launches(size, ranks, launches):
    assert time_of(phase(size, ranks, launches)) == approx(launches * time_of(phase(size, ranks)), rel=1e-9, abs=0)


@given(between(1e3, 1e9), st.integers(2, 64))
def test_mean_power_times_time_is_the_energy(size, ranks):
    done = phase(size, ranks)
    assert energy_of(done) == approx(done.point.power * time_of(done), rel=1e-6, abs=0)


def test_bits_of_a_link_cost_its_energy_per_bit():
    # Two shots between 8 ranks send 1.75 × 100 MB = 1.4 Gbit; at 5.5 pJ/bit that is 7.7 mJ, regulators apart.
    (entry,) = phase().entries
    assert entry.energy["links", "link_bit (nvlink)"] == approx(1.4e9 * 5.5e-12, rel=1e-9, abs=0)
    assert entry.kind == COMMUNICATION and entry.bound == "link" and entry.traffic["link"] == 1.75e8


def test_hidden_exchanges_cost_their_bits_and_no_waiting():
    half, whole = phase(exposed=0.5), phase()
    bits = ("links", "link_bit (nvlink)")
    assert half.entries[0].energy[bits] == whole.entries[0].energy[bits]
    assert time_of(half) == approx(time_of(whole) / 2, rel=1e-9, abs=0)


def test_what_is_hidden_wholly_belongs_to_what_hides_it():
    hidden = exchanged(Exchange(collective("all_reduce", 1e8, 8, PROFILE.links["nvlink"], "nvlink"), exposed=0.0), STACK)
    kernel = Asked("copy", "copy", Demand(memory_bytes=1e10))
    alone, both = (price_asked("backward", items, PROFILE, STACK) for items in ([kernel], [kernel, hidden]))
    assert time_of(both) == approx(time_of(alone), rel=1e-2, abs=0)
    assert energy_of(both) > energy_of(alone) + 1.4e9 * 5.5e-12
    with pytest.raises(InvalidSetting, match=r"all exchanges are hidden \(exposed=0\): price them with the kernels that hide them"):
        phase(exposed=0.0)


def test_ranges_of_the_link_reach_the_interval():
    shares = propagate([phase(size=1e10)], {}).shares["time"]
    assert shares["hardware.links.nvlink.achievable"] > 0.7  # bandwidth has no range, latency does not count at this size


def test_a_single_rank_has_nothing_to_say():
    with pytest.raises(InvalidSetting, match="nothing to exchange: every collective has a single rank; leave the phase out"):
        phase(ranks=1)


def test_parallel_counts_devices_and_experts_add_none():
    assert Parallel().devices == 1 and str(Parallel()) == "one device"
    assert Parallel(tensor=4, data=2, pipeline=3, expert=8).devices == 24
    assert str(Parallel(tensor=4, expert=2)) == "tensor 4, expert 2"


def test_parallel_refuses_what_cannot_be():
    with pytest.raises(InvalidSetting, match=r"tensor=0: expected a whole number of devices, at least 1"):
        Parallel(tensor=0)
    with pytest.raises(InvalidSetting, match=r"expert=3: experts spread over tensor × data × sequence = 8 ranks; allowed: 1, 2, 4, 8"):
        Parallel(tensor=8, expert=3)
