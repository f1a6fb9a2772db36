"""Readings of a meter while something runs, and the energy between two moments from them.

A counter moves in steps of 20 to 100 ms, so the joules between two moments are read off the line through its steps, each step
placed halfway between the polls that saw it. A meter without a counter is integrated: mean power times time between readings.
"""

import time
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from estimator.measurement.meter import Meter, MeterError

PERIOD = 0.1  # exact: seconds between full readings; sensors are refreshed no more often
PATIENCE = 2.0  # exact: seconds to wait for a counter that stands still


@dataclass(frozen=True, slots=True)
class Reading:
    """What the sensors said at one moment: s, W, Hz, Hz, K; None for what they do not say."""

    time: float
    power: float | None
    core_clock: float | None
    memory_clock: float | None
    temperature: float | None


class Recorder:
    """Polls a meter; `poll` is cheap between full readings, so that it may be called between launches."""

    def __init__(self, meter: Meter, now: Callable[[], float] = time.perf_counter) -> None:
        self.meter, self.now = meter, now
        self.steps: list[tuple[float, float]] = []  # moments at which the counter moved, with its J there
        self.readings: list[Reading] = []
        self.step = 0.0  # the longest time between two steps, s
        self._seen: tuple[float, float] | None = None

    def poll(self) -> None:
        """Ask the counter, and every 0.1 s all sensors."""
        moment, count = self.now(), self.meter.energy()
        if count is not None:
            self._count(moment, count)
        if not self.readings or moment - self.readings[-1].time >= PERIOD:
            self.readings.append(Reading(moment, self.meter.power(), *self.meter.clocks(), self.meter.temperature()))

    def _count(self, moment: float, count: float) -> None:
        before = self._seen
        self._seen = (moment, count)
        if before is not None and count != before[1]:
            if self.steps:
                self.step = max(self.step, moment - self.steps[-1][0])
            self.steps.append(((before[0] + moment) / 2, count))

    def wait_for_step(self, sleep: Callable[[float], None] = time.sleep) -> None:
        """Poll until the counter has moved once more, so that the energy of the next moments can be told.

        Raises `MeterError` if it stands still.
        """
        self.poll()
        wanted, begin = self._progress() + 1, self.now()
        while self._progress() < wanted:
            if self.now() - begin > PATIENCE:
                raise MeterError(f"the energy counter of {self.meter.name()} stands still: no step in {PATIENCE:g} s")
            sleep(PERIOD / 10)
            self.poll()

    def _progress(self) -> int:
        return len(self.steps) if self._seen is not None else len(self.readings)

    def energy(self, begin: float, end: float) -> float:
        """J between two moments; raises `MeterError` where the readings do not reach that far."""
        curve = self._curve()
        if len(curve) < 2:
            raise MeterError(f"{self.meter.name()} gave too few readings to tell an energy: it counted {len(curve)} times")
        return _at(curve, end) - _at(curve, begin)

    def _curve(self) -> list[tuple[float, float]]:
        if self._seen is not None:
            return self.steps
        known = [(reading.time, reading.power) for reading in self.readings if reading.power is not None]
        joules, curve = 0.0, known[:1] and [(known[0][0], 0.0)]
        for (before, first), (after, second) in pairwise(known):
            joules += (first + second) / 2 * (after - before)
            curve.append((after, joules))
        return curve

    def mean(self, sensor: str, begin: float, end: float) -> float | None:
        """Mean of one sensor of `Reading` between two moments; None where it says nothing."""
        said = [getattr(reading, sensor) for reading in self.readings if begin <= reading.time <= end]
        known = [value for value in said if value is not None]
        return sum(known) / len(known) if known else None


def _at(curve: list[tuple[float, float]], moment: float) -> float:
    """J at a moment on the line through the two nearest points."""
    right = min(max(bisect_left(curve, (moment,)), 1), len(curve) - 1)
    (before, low), (after, high) = curve[right - 1], curve[right]
    return low + (high - low) * (moment - before) / (after - before)
