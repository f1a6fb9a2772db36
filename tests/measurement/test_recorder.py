"""Energy between two moments from a counter that moves in steps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest import approx

from estimator.measurement.meter import MeterError
from estimator.measurement.recorder import Recorder


class Virtual:
    """A meter that draws `watts` (a function of time), its counter moving every `step` seconds; time passes when asked."""

    def __init__(self, joules, watts=None, step=0.1):
        self.joules, self.watts, self.step, self.now = joules, watts, step, 0.0

    def name(self):
        return "virtual"

    def energy(self):
        return None if self.joules is None else self.joules(self.now // self.step * self.step)

    def power(self):
        return None if self.watts is None else self.watts(self.now)

    def clocks(self):
        return None, None

    def temperature(self):
        return None


def recorded(meter, seconds, every):
    recorder = Recorder(meter, lambda: meter.now)
    while meter.now < seconds:
        recorder.poll()
        meter.now += every
    return recorder


@given(
    watts=st.floats(10, 1000), step=st.sampled_from([0.02, 0.05, 0.1]), every=st.floats(0.003, 0.03), begin=st.floats(0.5, 1.0),
    length=st.floats(2.0, 3.0),
)  # fmt: skip
def test_steady_power_is_read_to_a_poll_whatever_the_phase_of_the_counter(watts, step, every, begin, length):
    recorder = recorded(Virtual(lambda t: watts * t, step=step), 5.0, every)
    # each end is known to half a poll, so the energy to one poll of the window's length
    assert recorder.energy(begin, begin + length) == approx(watts * length, rel=every / length, abs=0)


def test_power_that_changes_is_told_to_a_step_of_the_counter():
    # 100 W, and 500 W from 1 s to 2 s: 500 J + 2 × 100 J between 0 and 3 s; each edge is smeared over one step of 0.1 s
    recorder = recorded(Virtual(lambda t: 100 * t + 400 * min(max(t - 1, 0), 1)), 4.0, 0.01)
    assert recorder.energy(0.5, 2.5) == approx(600, rel=0.02, abs=0)
    assert recorder.energy(1.0, 2.0) == approx(500, rel=0.1, abs=0)


def test_a_meter_without_a_counter_is_integrated():
    # power grows by 100 W a second: 50 t² J
    recorder = recorded(Virtual(None, watts=lambda t: 100 * t), 4.0, 0.01)
    assert recorder.energy(1.0, 3.0) == approx(50 * (9 - 1), rel=1e-3, abs=0)


def test_means_are_those_of_the_window():
    recorder = recorded(Virtual(lambda t: t, watts=lambda t: 100.0 if t < 2 else 300.0), 4.0, 0.01)
    assert recorder.mean("power", 2.5, 3.5) == 300.0
    assert recorder.mean("temperature", 0, 4) is None


def test_too_few_readings_and_a_counter_that_stands_still_are_errors():
    meter = Virtual(lambda t: 7.0)
    recorder = recorded(meter, 1.0, 0.01)
    with pytest.raises(MeterError, match="too few readings to tell an energy: it counted 0 times"):
        recorder.energy(0.1, 0.9)

    def sleep(seconds):
        meter.now += seconds

    with pytest.raises(MeterError, match="the energy counter of virtual stands still: no step in 2 s"):
        recorder.wait_for_step(sleep)
