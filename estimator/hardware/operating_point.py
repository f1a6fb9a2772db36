"""The clock, voltage and temperature at which a chip settles under a power cap.

Voltage follows the clock, the clock follows the cap, leakage follows the temperature and the temperature follows the power:
a fixed point. The cap acts on mean power over milliseconds, so it is solved for a whole phase, not for each kernel.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from estimator.errors import Infeasible
from estimator.hardware.events import Counts, event_energy
from estimator.hardware.power import coolable, junction_temperature, leakage, voltage_at
from estimator.hardware.roofline import Duration
from estimator.hardware.schema import Profile
from estimator.units import KELVIN_AT_ZERO_CELSIUS

STEPS = 60  # exact: bisection to 2^-60 of the range


@dataclass(frozen=True, slots=True)
class Load:
    """A kernel launched `launches` times in a phase."""

    launches: float
    counts: Counts
    duration: Duration


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """Where the chip settles: clock in Hz, voltage in V, temperature in K, mean board power in W.

    `capped`: the power cap, or the junction's highest temperature, keeps the clock down. `stretch` is above 1 where even the
    lowest clock exceeds the limit, so that the chip must pause: all times are longer by it.
    """

    clock: float
    voltage: float
    temperature: float
    power: float
    capped: bool = False
    stretch: float = 1.0


@dataclass(frozen=True, slots=True)
class StaticPower:
    """Power in W that does not depend on the work, inside the regulators except for `board`."""

    leakage: float
    memory_idle: float
    clock_active: float
    clock_gated: float
    board: float


def static_power(profile: Profile, clock: float, voltage: float, temperature: float) -> StaticPower:
    """Leakage, memory idle, clock tree (kernel running, and gated between kernels) and board power in W."""
    tree = event_energy(profile, voltage)["clock_cycle"] * clock
    return StaticPower(
        leakage(profile, voltage, temperature),
        float(profile.memory.idle_power),
        tree,
        tree * profile.clock.gated_share,
        float(profile.power.board),
    )


def settle(profile: Profile, loads: Sequence[Load], highest: float | None = None) -> OperatingPoint:
    """The fastest point, at most the clock `highest` (Hz), whose mean power keeps the cap and the junction below its limit.

    Raises `Infeasible` if standing still would exceed either.
    """
    high = float(profile.clock.boost) if highest is None else highest
    low, limit = min(float(profile.clock.minimum), high), min(float(profile.power.limit), coolable(profile))
    events = _total_events(loads)
    top = _at(profile, loads, events, high)
    if top.power <= limit:
        return top
    bottom = _at(profile, loads, events, low)
    if bottom.power > limit:
        return _paused(profile, loads, events, bottom, limit)
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if _at(profile, loads, events, middle).power > limit else (middle, high)
    return replace(_at(profile, loads, events, low), capped=True)


def elapsed(loads: Sequence[Load], point: OperatingPoint) -> float:
    """Seconds that all launches of `loads` take at `point`."""
    return point.stretch * sum(load.launches * load.duration.seconds(point.clock) for load in loads)


def _total_events(loads: Sequence[Load]) -> dict[str, float]:
    events: defaultdict[str, float] = defaultdict(float)
    for load in loads:
        for (_, event), count in load.counts.items():
            events[event] += load.launches * count
    return events


def _at(profile: Profile, loads: Sequence[Load], events: dict[str, float], clock: float) -> OperatingPoint:
    """Balance of temperature and power at a given clock, whatever the limits."""
    voltage = voltage_at(profile, clock)
    other = _power(profile, loads, events, clock, voltage)
    temperature = junction_temperature(profile, voltage, other)
    power = other + leakage(profile, voltage, temperature) / profile.power.regulator_efficiency
    return OperatingPoint(clock, voltage, temperature, power)


def _power(profile: Profile, loads: Sequence[Load], events: dict[str, float], clock: float, voltage: float) -> float:
    """Mean board power in W at a clock and voltage, without leakage."""
    energy = event_energy(profile, voltage)
    seconds = sum(load.launches * load.duration.seconds(clock) for load in loads)
    running = sum(load.launches * load.duration.running(clock) for load in loads) / seconds
    dynamic = sum(count * energy[event] for event, count in events.items()) / seconds
    tree = energy["clock_cycle"] * clock * (running + (1 - running) * profile.clock.gated_share)
    return (dynamic + tree + profile.memory.idle_power) / profile.power.regulator_efficiency + profile.power.board


def _paused(profile: Profile, loads: Sequence[Load], events: dict[str, float], bottom: OperatingPoint, limit: float) -> OperatingPoint:
    """Hold the limit by pausing at the lowest clock: the moved energy stays, the time grows."""
    clock, voltage = bottom.clock, bottom.voltage
    temperature = float(profile.thermal.ambient + profile.thermal.resistance * limit)
    leak = leakage(profile, voltage, temperature) / profile.power.regulator_efficiency
    still = static_power(profile, clock, voltage, temperature)
    floor = (still.memory_idle + still.clock_gated) / profile.power.regulator_efficiency + still.board + leak
    if floor >= limit:
        raise _cannot_stand(profile, floor, limit, leak)
    stretch = (_power(profile, loads, events, clock, voltage) + leak - floor) / (limit - floor)
    return OperatingPoint(clock, voltage, temperature, limit, True, stretch)


def _cannot_stand(profile: Profile, floor: float, limit: float, leak: float) -> Infeasible:
    if limit < profile.power.limit:
        hottest = profile.thermal.limit - KELVIN_AT_ZERO_CELSIUS
        gain = profile.thermal.resistance * leak / profile.process.leakage_temperature_efold
        return Infeasible(
            f"{profile.name}: thermal runaway: standing still at its highest junction temperature of {hottest:.0f} °C it draws "
            f"{floor:.4g} W, {leak:.4g} W of it leakage, and the cooling takes off {limit:.4g} W there; a kelvin more adds {gain:.2g} K. "
            "Lower the ambient temperature, the voltage or thermal.resistance"
        )
    return Infeasible(
        f"a power limit of {limit:.4g} W is below what {profile.name} draws standing still ({floor:.4g} W); allow more than {floor:.4g} W"
    )
