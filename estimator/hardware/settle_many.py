"""The operating point of many possible chips at once: `operating_point.settle` for arrays, one entry for each sample of the numbers.

A second road to the same numbers. The scalar road balances heat at every clock that it tries. Here the hottest allowed junction
comes first: the least of what cap, thermal limit and runaway allow. A chip that cannot stay below it sits at it, so its temperature,
power and leakage are known and only the clock is sought, by the Illinois variant of the secant method (Dowell and Jarratt, BIT
11, 1971). `chip` is a profile whose numbers are arrays or floats.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np

from estimator.hardware.power import leakage, leakage_growth
from estimator.hardware.power_many import CLOSE, Array, junction_temperature_many, voltage_many
from estimator.hardware.some_samples import SomeSamples, at
from estimator.hardware.swing_many import swing_many

STEPS = 60  # exact: far more than any search here takes
COLUMNS = ("cycles", "memory_seconds", "overhead", "interval", "fixed", "capacitance")  # of `WorkMany`, in its order
UNLIMITED = 1e9  # exact: W above any limit, so that cooling alone decides
LAUNCHES = "launches"  # likewise, where it holds them


@dataclass(frozen=True)
class WorkMany:
    """The kernels of a phase as (kernels, samples): in all their launches the cycles, the seconds and the energy of their events, which
    at a voltage V is `fixed` + `capacitance` · V², in J and F (see `priced`); where their power may swing (see `swing_many`), also how
    often each is launched. `tree` is the capacitance of one clock cycle, (samples,).
    """

    cycles: Array
    memory_seconds: Array
    overhead: Array
    interval: Array
    fixed: Array
    capacitance: Array
    tree: Array
    launches: Array | None = None

    @cached_property
    def energy(self) -> tuple[Array, Array]:
        """`fixed` and `capacitance` of all kernels together."""
        return self.fixed.sum(axis=0), self.capacitance.sum(axis=0)

    def times(self, clock: Array) -> tuple[Array, Array]:
        """Seconds that all launches take, and in how many of them kernels hold the chip, at `clock` (Hz)."""
        time, running = self.spans(clock)
        return time.sum(axis=0), running.sum(axis=0)

    def spans(self, clock: Array) -> tuple[Array, Array]:
        """The same kernel by kernel."""
        running = np.maximum(self.cycles / clock, self.memory_seconds) + self.overhead
        return np.maximum(running, self.interval), running

    def at(self, index: Array) -> "WorkMany":
        """The same kernels for the samples `index` alone."""
        return WorkMany(*(at(getattr(self, field.name), index) for field in fields(self)))


@dataclass(frozen=True)
class PointMany:
    """Clock in Hz, voltage in V, temperature in K, mean power in W (NaN where no point exists) and seconds of the phase."""

    clock: Array
    voltage: Array
    temperature: Array
    power: Array
    stretch: Array
    seconds: Array


def settle_many(chip: Any, work: WorkMany) -> PointMany:
    """The fastest point of each sample whose power keeps the cap and the junction below its limit; NaN where none does."""
    clock = np.array(np.broadcast_to(chip.clock.boost, work.cycles.shape[1:]), dtype=float)
    sits, paused = np.zeros(clock.shape, dtype=bool), np.zeros(clock.shape, dtype=bool)
    excess = _excess(chip, work, clock)
    if (few := np.flatnonzero(excess > 0)).size:
        clock[few], sits[few], paused[few] = _slowed(SomeSamples(chip, few), work.at(few), clock[few], excess[few])
    voltage = voltage_many(chip, clock)
    temperature, limit = _hottest(chip, voltage, np.where(paused, 0, swing_many(chip, work, clock, voltage)))
    other = _power(chip, work, clock, voltage)
    if (few := np.flatnonzero(~sits)).size:
        temperature[few] = junction_temperature_many(SomeSamples(chip, few), voltage[few], other[few])
    with np.errstate(over="ignore", invalid="ignore"):  # samples that stand still above their limits balance nowhere
        leak = leakage(chip, voltage, temperature) / chip.power.regulator_efficiency
        stretch = np.where(paused, _stretch(chip, work, clock, voltage, other + leak, leak, limit), 1)
    power = np.where(np.isnan(stretch), np.nan, np.where(sits, limit, other + leak))
    return PointMany(clock, voltage, temperature, power, stretch, work.times(clock)[0] * stretch)


def settle_phases(chip: Any, works: Sequence[WorkMany]) -> list[PointMany]:
    """`settle_many` of several phases of the same samples of a chip, found in one search."""
    sizes = [work.cycles.shape[1] for work in works]
    points = settle_many(SomeSamples(chip, np.concatenate([np.arange(size) for size in sizes])), _abreast(works, sizes))
    cuts = np.cumsum(sizes)[:-1]
    return [PointMany(*parts) for parts in zip(*(np.split(getattr(points, field.name), cuts) for field in fields(points)))]


def _abreast(works: Sequence[WorkMany], sizes: Sequence[int]) -> WorkMany:
    """Phases as samples of one: those with fewer kernels have some that take no time."""
    names = COLUMNS if any(work.launches is None for work in works) else (*COLUMNS, LAUNCHES)
    columns = np.zeros((len(names), max(len(work.cycles) for work in works), sum(sizes)))
    for work, size, end in zip(works, sizes, np.cumsum(sizes)):
        for column, name in zip(columns, names):
            column[: len(work.cycles), end - size : end] = getattr(work, name)
    return WorkMany(**dict(zip(names, columns)), tree=np.concatenate([work.tree for work in works]))


def _power(chip: Any, work: WorkMany, clock: Array, voltage: Array) -> Array:
    """Mean board power in W without leakage."""
    fixed, capacitance = work.energy
    seconds, running = work.times(clock)
    dynamic = (fixed + capacitance * voltage**2) / seconds
    tree = work.tree * voltage**2 * clock * (running + (seconds - running) * chip.clock.gated_share) / seconds
    return (dynamic + tree + chip.memory.standing_power) / chip.power.regulator_efficiency + chip.power.board


def _excess(chip: Any, work: WorkMany, clock: Array, spared: Any = None) -> Array:
    """Power in W by which heat at the hottest allowed junction exceeds what leaves it: above zero, nothing cooler balances either.

    The cap is kept by the mean power with its swing, or with `spared` W in place of it.
    """
    voltage = voltage_many(chip, clock)
    hottest, limit = _hottest(chip, voltage, swing_many(chip, work, clock, voltage) if spared is None else spared)
    return _power(chip, work, clock, voltage) + leakage(chip, voltage, hottest) / chip.power.regulator_efficiency - limit


def _hottest(chip: Any, voltage: Array, swing: Any) -> tuple[Array, Array]:
    """(K, W): the hottest junction that cap, thermal limit and runaway allow at this voltage, and the board power that causes it.

    The cap is that of the mean power, which must leave room for its `swing` in W. Beyond the temperature at which one more kelvin adds
    as much leakage as it carries heat away there is no stable balance.
    """
    thermal, cap = chip.thermal, chip.power.limit - swing
    at_cap = thermal.ambient + thermal.resistance * cap
    high = np.array(np.broadcast_to(np.minimum(thermal.limit, at_cap), voltage.shape), dtype=float)
    if (unstable := np.flatnonzero(_gain(chip, voltage, high) > 1)).size:
        high[unstable] = _runaway(SomeSamples(chip, unstable), voltage[unstable], high[unstable])
    cooled = (high - thermal.ambient) / np.where(thermal.resistance > 0, thermal.resistance, 1)
    return high, np.where(high < at_cap, cooled, cap)


def _runaway(chip: Any, voltage: Array, above: Array) -> Array:
    """The junction in K, below `above`, at which leakage runs away, not below the ambient temperature."""
    for _ in range(STEPS):  # Newton's method on the logarithm of the gain, which is nearly linear
        step = np.log(_gain(chip, voltage, above)) / leakage_growth(chip, voltage, above)
        last, above = above, np.maximum(above - step, chip.thermal.ambient)
        if (np.abs(above - last) <= CLOSE * above).all():
            break
    return above


def _gain(chip: Any, voltage: Array, temperature: Array) -> Array:
    """Kelvins that one more kelvin adds through leakage."""
    growth = leakage(chip, voltage, temperature) * leakage_growth(chip, voltage, temperature)
    return chip.thermal.resistance * growth / chip.power.regulator_efficiency


def _slowed(chip: Any, work: WorkMany, high: Array, above: Array) -> tuple[Array, Array, Array]:
    """Of samples that are in excess (`above`) at `high`: their clocks, which of them sit at their limit, and which must pause for it."""
    lowest = chip.clock.capped_minimum
    low = chip.clock.minimum if lowest is None else lowest
    clock = np.array(np.minimum(np.broadcast_to(low, high.shape), high), dtype=float)
    below = _excess(chip, work, clock)
    held, paused = below <= 0, np.zeros(clock.shape, dtype=bool)
    if (few := np.flatnonzero(~held)).size:  # no swing, or no cap, is less than the limiter asks for
        spared = 0.0 if lowest is None else -UNLIMITED
        paused[few] = _excess(SomeSamples(chip, few), work.at(few), clock[few], spared) > 0
    if (few := np.flatnonzero(held)).size:
        clock[few] = _at_cap(SomeSamples(chip, few), work.at(few), *(bound[few] for bound in (clock, high, below, above)))
    return clock, held | paused, paused


def _at_cap(chip: Any, work: WorkMany, low: Array, high: Array, below: Array, above: Array) -> Array:
    """The clock at which nothing is in excess, between `low` and `high`, where `below` and `above` are."""
    last = np.zeros(low.shape)
    clock = low
    for _ in range(STEPS):
        clock = low + below / (below - above) * (high - low)
        off = _excess(chip, work, clock)
        over = off > 0
        # a bound that stays twice counts half, or the other one would crawl
        below, above = np.where(over, np.where(last > 0, below / 2, below), off), np.where(over, off, np.where(last < 0, above / 2, above))
        low, high, last = np.where(over, low, clock), np.where(over, clock, high), np.where(over, 1, -1)
        if ((np.abs(off) <= CLOSE * chip.power.limit) | (high - low <= CLOSE * high)).all():
            break
    return clock


def _stretch(chip: Any, work: WorkMany, clock: Array, voltage: Array, busy: Array, leak: Array, limit: Array) -> Array:
    """How much longer all takes if the chip pauses to hold the limit; NaN where standing still already exceeds it."""
    tree = work.tree * voltage**2 * clock * chip.clock.gated_share
    floor = (chip.memory.standing_power + tree) / chip.power.regulator_efficiency + chip.power.board + leak
    return (busy - floor) / np.where(floor < limit, limit - floor, np.nan)
