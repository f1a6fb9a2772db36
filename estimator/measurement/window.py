"""One row measured: work without a pause, a warm-up, then windows that follow one another, and their spread.

The device is kept busy: the next stretch of work is queued before the meter is read and before the last one is waited for.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median, stdev
from typing import Protocol

from estimator.measurement.meter import Meter
from estimator.measurement.recorder import PERIOD, Recorder
from estimator.units import require_positive
from estimator.validation.rows import Row

STRETCH = 0.02  # exact: seconds of work queued at a time, a fifth of the slowest counter's step
FEWEST = 4  # exact: stretches in a window, so that where it begins and ends does not matter
STEADY = 0.05  # exact: windows whose power differs by more are called unsteady, by convention


class Queued(Protocol):
    """Work that was started."""

    def done(self) -> bool:
        """Whether it has ended; asking does not wait."""

    def wait(self) -> None:
        """Return when it has ended."""


Launch = Callable[[int], Queued]  # starts so many calls


class Bench(Protocol):
    """Where rows are run: a device that takes work, and a clock."""

    def prepare(self, row: Row) -> Launch:
        """The row's work, ready to be called."""

    def now(self) -> float:
        """Seconds of a clock that never steps back."""

    def sleep(self, seconds: float) -> None:
        """Wait without work."""

    def release(self) -> None:
        """Give back what the last row held."""


@dataclass(frozen=True)
class Plan:
    """Seconds of warm-up and of each window, and how many windows. Raises `InvalidSetting`."""

    warmup: float = 2.0
    window: float = 2.0
    repeats: int = 3  # exact: the fewest that have a spread and a middle

    def __post_init__(self) -> None:
        require_positive("warmup", self.warmup)
        require_positive("window", self.window)
        require_positive("repeats", self.repeats)

    @property
    def seconds(self) -> float:
        """Seconds that one row takes, preparing it apart."""
        return self.warmup + self.repeats * self.window + 2 * PERIOD


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of steady work: calls, seconds, joules."""

    calls: float
    seconds: float
    energy: float

    @property
    def power(self) -> float:
        """W."""
        return self.energy / self.seconds

    @property
    def time(self) -> float:
        """Seconds of one call."""
        return self.seconds / self.calls


@dataclass(frozen=True)
class Measured:
    """Windows of one row, with what the sensors said meanwhile (W, Hz, Hz, K; None where they say nothing)."""

    windows: tuple[Window, ...]
    sensor_power: float | None = None
    core_clock: float | None = None
    memory_clock: float | None = None
    temperature: float | None = None

    @property
    def power(self) -> float:
        """W, the middle of the windows."""
        return median(window.power for window in self.windows)

    @property
    def time(self) -> float:
        """Seconds of one call, the middle of the windows."""
        return median(window.time for window in self.windows)

    @property
    def energy(self) -> float:
        """J of one call."""
        return self.power * self.time

    @property
    def power_spread(self) -> float:
        """Standard deviation of the windows' power, W."""
        return _spread([window.power for window in self.windows])

    @property
    def time_spread(self) -> float:
        """Standard deviation of the windows' seconds per call."""
        return _spread([window.time for window in self.windows])

    @property
    def steady(self) -> bool:
        """Whether the windows agree."""
        powers = [window.power for window in self.windows]
        return max(powers) - min(powers) <= STEADY * self.power


def _spread(values: Sequence[float]) -> float:
    return stdev(values) if len(values) > 1 else 0.0


def measure_row(row: Row, bench: Bench, meter: Meter, plan: Plan) -> Measured:
    """Run the row's work for warm-up and windows. `loops` of the row are calls that one launch makes.

    Windows are longer than planned where a few calls take longer than that.
    """
    launch = bench.prepare(row)
    count, seconds = _stretch(launch, bench)
    recorder, window = Recorder(meter, bench.now), max(plan.window, FEWEST * seconds)
    marks = _run(launch, count, bench, recorder, plan.warmup + plan.repeats * window + 2 * PERIOD, polling=seconds > PERIOD / 2)
    loops, begin = row.whole("loops", 1), marks[0][0] + plan.warmup
    cuts = [_mark(marks, begin + index * window) for index in range(plan.repeats + 1)]
    windows = tuple(
        Window((after - before) * loops, end - start, recorder.energy(start, end)) for (start, before), (end, after) in pairwise(cuts)
    )
    sensors = (recorder.mean(name, cuts[0][0], cuts[-1][0]) for name in ("power", "core_clock", "memory_clock", "temperature"))
    return Measured(windows, *sensors)


def _stretch(launch: Launch, bench: Bench) -> tuple[int, float]:
    """How many calls make a stretch, and the seconds that it takes; the first call, which may compile, is not timed."""
    launch(1).wait()
    count = 1
    while True:
        begin = bench.now()
        launch(count).wait()
        seconds = bench.now() - begin
        if seconds >= STRETCH / 2:
            calls = max(1, round(count * STRETCH / seconds))
            return calls, calls * seconds / count
        count *= 2 if seconds > 0 else 10


def _run(launch: Launch, count: int, bench: Bench, recorder: Recorder, seconds: float, polling: bool) -> list[tuple[float, int]]:
    """(moment, calls done) after each stretch, until `seconds` are over; with `polling` the meter is read during a stretch, too."""
    launch(count).wait()
    marks = [(bench.now(), 0)]
    ahead = launch(count)
    while marks[-1][0] - marks[0][0] < seconds:
        following = launch(count)
        recorder.poll()
        while polling and not ahead.done():
            bench.sleep(PERIOD / 10)
            recorder.poll()
        ahead.wait()
        marks.append((bench.now(), marks[-1][1] + count))
        ahead = following
    ahead.wait()
    return marks


def _mark(marks: Sequence[tuple[float, int]], moment: float) -> tuple[float, int]:
    """The first mark at or after a moment, or the last."""
    return next((mark for mark in marks if mark[0] >= moment), marks[-1])
