"""What a phase asks of a chip: its kernels' launches as one, for any clock and voltage."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from estimator.hardware.events import CYCLE, Counts, Pricing, priced
from estimator.hardware.roofline import Duration
from estimator.hardware.schema import Profile


@dataclass(frozen=True, slots=True)
class Load:
    """A kernel launched `launches` times in a phase."""

    launches: float
    counts: Counts
    duration: Duration


@dataclass(frozen=True, slots=True)
class Span:
    """One of a phase's kernels: its launches, and of each launch the cycles, the seconds off the core clock, the overhead, the interval
    (see `Duration`), and the energy of its events, which at a voltage V is `fixed` + `capacitance` · V², in J and F."""

    launches: float
    cycles: float
    elsewhere: float
    overhead: float
    interval: float
    fixed: float
    capacitance: float

    def busy(self, clock: float) -> float:
        """Seconds in which a launch holds the multiprocessors."""
        core = self.cycles / clock
        return (core if core > self.elsewhere else self.elsewhere) + self.overhead


@dataclass(frozen=True, slots=True)
class Together:
    """All launches of a phase: its kernels, and in all of them the energy as in `Span`. `tree` is the capacitance of one clock cycle."""

    spans: tuple[Span, ...]
    fixed: float
    capacitance: float
    tree: float

    def times(self, clock: float) -> tuple[float, float]:
        """Seconds that all launches take, and in how many of them kernels hold the multiprocessors (see `Duration`)."""
        seconds = running = 0.0
        for span in self.spans:
            busy = span.busy(clock)
            running += span.launches * busy
            seconds += span.launches * (busy if busy > span.interval else span.interval)
        return seconds, running

    def swing(self, clock: float, voltage: float, gated: float, response: float) -> float:
        """W by which power exceeds its mean, as a limiter sees it that averages over `response` seconds: one standard deviation over time.

        Of a kernel's deviation, the share t / (t + response) outlasts the averaging. Never more than the highest of them.
        """
        kernels = tuple(self._powers(clock, voltage, gated))
        seconds = sum([weight for weight, _, _ in kernels])
        mean = sum([weight * power for weight, _, power in kernels]) / seconds
        seen = [(weight, (power - mean) * time / (time + response)) for weight, time, power in kernels]
        deviation = (sum([weight * over**2 for weight, over in seen]) / seconds) ** (1 / 2)
        return min(deviation, max(over for _, over in seen))

    def _powers(self, clock: float, voltage: float, gated: float) -> Iterator[tuple[float, float, float]]:
        """(seconds in all launches, seconds of one, its W) of each kernel: switching and clock tree."""
        for span in self.spans:
            busy = span.busy(clock)
            time = busy if busy > span.interval else span.interval
            if span.launches and time:
                joules = span.fixed + (span.capacitance + self.tree * clock * (busy + (time - busy) * gated)) * voltage**2
                yield span.launches * time, time, joules / time


def together(profile: Profile, loads: Sequence[Load]) -> Together:
    """`loads` as one."""
    energy = priced(profile)
    spans = tuple([_span(load, energy) for load in loads])
    fixed, capacitance = sum([s.launches * s.fixed for s in spans]), sum([s.launches * s.capacitance for s in spans])
    return Together(spans, fixed, capacitance, energy(CYCLE)[1])


def _span(load: Load, energy: Pricing) -> Span:
    took = load.duration
    elsewhere = max(took.memory_seconds, took.link_seconds)
    parts = energy((event, count) for (_, event), count in load.counts.items())
    return Span(load.launches, took.cycles, elsewhere, took.overhead, took.interval, *parts)
