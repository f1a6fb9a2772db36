"""A recorded trace (synthetic, see trace.py): the recorder reads the joules off it that the card truly drew."""

import pytest
from pytest import approx

from estimator.measurement.recorder import Recorder
from tests.measurement.trace import FILE, simulate

LINES = FILE.read_text(encoding="utf-8").splitlines()
TRUE = [tuple(map(float, line.split()[1:4])) for line in LINES if line.endswith("true J)")]
POLLS = [tuple(map(float, line.split(","))) for line in LINES if line[0].isdigit()]


class Played:
    """A meter that says what the trace says."""

    def __init__(self, counts):
        self.counts, self.at = counts, 0

    def now(self):
        return POLLS[self.at][0]

    def energy(self):
        return POLLS[self.at][1] / 1000 if self.counts else None

    def power(self):
        return POLLS[self.at][2] / 1000

    def clocks(self):
        return None, None

    def temperature(self):
        return None


def recorder(counts):
    meter = Played(counts)
    found = Recorder(meter, meter.now)
    for meter.at in range(len(POLLS)):
        found.poll()
    return found


def test_the_trace_says_that_it_is_synthetic_and_is_what_its_generator_makes():
    assert LINES[0].startswith("# SYNTHETIC")
    made, _ = simulate()
    assert len(made) == len(POLLS) > 700
    for (moment, energy, power), known in zip(made, POLLS):
        assert (moment, energy, power) == approx(known, rel=1e-4, abs=0)


@pytest.mark.parametrize(("begin", "end", "joules"), TRUE)
def test_the_counter_gives_the_true_joules(begin, end, joules):
    # windows begin and end in steady stretches, each end is known to half a poll of 20 ms
    assert recorder(counts=True).energy(begin, end) == approx(joules, rel=0.015, abs=0)


def test_without_a_counter_noise_averages_out_but_short_bursts_are_partly_missed():
    found = recorder(counts=False)
    for begin, end, joules in TRUE:
        burst = begin == 8.5  # 0.35 s of 520 W: three or four readings of 25 ms, so one more or less is a quarter of its 136 J
        assert found.energy(begin, end) == approx(joules, rel=0.15 if burst else 0.03, abs=0)
