"""What a power limiter holds: the mean power, and as much of its swing from kernel to kernel as outlasts its averaging."""

import math

from hypothesis import given
from hypothesis import strategies as st
from pytest import approx

from estimator.hardware.catalogue import load_profile
from estimator.hardware.demand import Demand
from estimator.hardware.events import count_events
from estimator.hardware.load import Load, Span, Together
from estimator.hardware.operating_point import elapsed, settle
from estimator.hardware.roofline import duration
from tests.strategies import between

V100, A40 = load_profile("v100-pcie-32gb"), load_profile("a40")
PRODUCT = Demand(macs=1e11, mac_slots=1e11, unit="vector", l2_bytes=1e8, memory_bytes=1e8)
STREAM = Demand(vector_ops=1e7, l2_bytes=1e9, memory_bytes=1e9)

spans = st.builds(
    lambda launches, seconds, joules: Span(launches, 0.0, seconds, 0.0, 0.0, joules, 0.0),
    between(1, 100),
    between(1e-5, 1e-2),
    between(0, 1),
)


def load(profile, demand, launches=1.0):
    return Load(launches, count_events(demand, profile), duration(demand, profile))


def swing(kernels, response):
    return Together(tuple(kernels), 0.0, 0.0, 0.0).swing(1e9, 1.0, 0.0, response)


def powers(kernels):
    mean = sum(k.launches * k.fixed for k in kernels) / sum(k.launches * k.elsewhere for k in kernels)
    return mean, [k.fixed / k.elsewhere for k in kernels]


@given(st.lists(spans, min_size=2, max_size=6))
def test_the_swing_never_exceeds_the_peak_and_a_slow_limiter_sees_less_of_it(kernels):
    mean, each = powers(kernels)
    fast, slow = swing(kernels, 1e-6), swing(kernels, 1e-2)
    assert -1e-9 * mean <= slow <= fast * (1 + 1e-9) + 1e-9 * mean
    assert fast <= (max(each) - mean) * (1 + 1e-9) + 1e-9 * mean


@given(spans, st.lists(between(1, 50), min_size=2, max_size=5))
def test_kernels_of_one_power_swing_about_nothing(kernel, launches):
    kernels = [Span(many, 0.0, kernel.elsewhere, 0.0, 0.0, kernel.fixed, 0.0) for many in launches]
    assert abs(swing(kernels, 1e-4)) <= 1e-9 * powers(kernels)[0]


def test_two_kernels_that_take_as_long_swing_by_half_of_their_difference():
    # 1 ms at 300 W and 1 ms at 100 W: mean 200 W, deviation 100 W either way; of it 1 / (1 + 0.25) outlasts 0.25 ms
    kernels = [Span(7.0, 0.0, 1e-3, 0.0, 0.0, 0.3, 0.0), Span(7.0, 0.0, 1e-3, 0.0, 0.0, 0.1, 0.0)]
    assert swing(kernels, 0.25e-3) == approx(80.0, rel=1e-9, abs=0)


def test_a_short_lull_leaves_no_more_than_the_peak():
    # 9 ms at 200 W and 1 ms at 0 W: mean 180 W, standard deviation 60 W, but the peak is only 20 W above the mean
    kernels = [Span(1.0, 0.0, 9e-3, 0.0, 0.0, 1.8, 0.0), Span(1.0, 0.0, 1e-3, 0.0, 0.0, 0.0, 0.0)]
    assert swing(kernels, 0.0) == approx(20.0, rel=1e-9, abs=0)


@given(between(120, 240))
def test_kernels_that_differ_leave_the_mean_below_the_limit_and_steady_ones_do_not(watts):
    capped = V100.at(power_limit=watts)
    steady = settle(capped, [load(capped, PRODUCT, 2.0)])
    mixed = settle(capped, [load(capped, PRODUCT), load(capped, STREAM)])
    assert not steady.capped or math.isclose(steady.power, watts, rel_tol=1e-6)
    assert mixed.power < watts
    if mixed.capped:
        whole = settle(capped.model_copy(update={"power": capped.power.model_copy(update={"limiter_response": None})}),
                       [load(capped, PRODUCT), load(capped, STREAM)])  # fmt: skip
        assert mixed.clock < whole.clock or not whole.capped


def test_a_chip_with_a_lowest_capped_clock_exceeds_a_limit_that_it_cannot_keep():
    # published: an A40 under a limit of 100 W trains with 100 to 121 W (You et al., NSDI 2023)
    tight = A40.at(power_limit=100)
    work = [load(tight, Demand(macs=1e11, mac_slots=1e11, mac_format="tf32", l2_bytes=1e9, memory_bytes=1e9))]
    point = settle(tight, work)
    assert (point.clock, point.capped, point.stretch) == (A40.clock.capped_minimum, True, 1.0)
    assert 100 < point.power < 121
    assert elapsed(work, point) > 2 * elapsed(work, settle(A40, work))


def test_a_copy_slows_with_the_clock_and_a_stream_does_not():
    copy = duration(Demand(memory_bytes=1e9, chip_share=0.8), V100)
    stream = duration(Demand(memory_bytes=1e9, memory_share=0.8), V100)
    boost = float(V100.clock.boost)
    assert copy.seconds(boost) == approx(stream.seconds(boost), rel=1e-9, abs=0)
    assert copy.seconds(0.9 * boost) == approx(copy.seconds(boost) / 0.9, rel=1e-9, abs=0)
    assert stream.seconds(0.9 * boost) == stream.seconds(boost)
