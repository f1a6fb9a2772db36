"""The clock, voltage and temperature at which a chip settles under a power cap.

Voltage follows the clock, the clock follows the cap, leakage follows the temperature and the temperature follows the power:
a fixed point. The cap acts on mean power over milliseconds, so it is solved for a whole phase, not for each kernel.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from estimator.errors import Infeasible
from estimator.hardware.events import Counts, event_energy
from estimator.hardware.power import leakage, voltage_at
from estimator.hardware.roofline import Duration
from estimator.hardware.schema import Profile
from estimator.units import format_si

RELATIVE_TOLERANCE = 1e-9  # exact: far below any physical uncertainty
STEPS = 60  # exact: bisection to 2^-60 of the range
HOPELESS = 10  # exact: no balance is to be found this far above the highest junction temperature


@dataclass(frozen=True, slots=True)
class Load:
    """A kernel launched `launches` times in a phase."""

    launches: float
    counts: Counts
    duration: Duration


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """Where the chip settles: clock in Hz, voltage in V, temperature in K, mean board power in W.

    `stretch` is above 1 where even the lowest clock exceeds the cap, so that the chip must pause: all times are longer by it.
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


def settle(profile: Profile, loads: Sequence[Load]) -> OperatingPoint:
    """The fastest point whose mean power keeps the cap; raises `Infeasible` if standing still would exceed it."""
    low, high = float(profile.clock.minimum), float(profile.clock.boost)
    limit = float(profile.power.limit)
    top = _at(profile, loads, high)
    if top.power <= limit:
        return top
    bottom = _at(profile, loads, low)
    if bottom.power > limit:
        return _paused(profile, loads, bottom, limit)
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if _at(profile, loads, middle).power > limit else (middle, high)
    return _at(profile, loads, low, capped=True)


def _at(profile: Profile, loads: Sequence[Load], clock: float, capped: bool = False) -> OperatingPoint:
    """Balance of temperature and power at a given clock; raises `Infeasible` where leakage runs away."""
    voltage = voltage_at(profile, clock)
    energy = event_energy(profile, voltage)
    seconds = sum(load.launches * load.duration.seconds(clock) for load in loads)
    running = sum(load.launches * load.duration.running(clock) for load in loads) / seconds
    dynamic = sum(load.launches * count * energy[event] for load in loads for (_, event), count in load.counts.items()) / seconds
    temperature = float(profile.thermal.ambient)
    for _ in range(STEPS):
        still = static_power(profile, clock, voltage, temperature)
        tree = running * still.clock_active + (1 - running) * still.clock_gated
        inside = dynamic + still.leakage + still.memory_idle + tree
        power = inside / profile.power.regulator_efficiency + still.board
        hotter = profile.thermal.ambient + profile.thermal.resistance * min(power, float(profile.power.limit))
        if abs(hotter - temperature) < temperature * RELATIVE_TOLERANCE:
            return OperatingPoint(clock, voltage, temperature, power, capped)
        if hotter > HOPELESS * profile.thermal.limit:
            break
        temperature = hotter
    raise Infeasible(
        f"{profile.name}: thermal runaway at {format_si(clock, 'Hz')}: leakage grows faster than the cooling removes it; "
        "lower the voltage or the ambient temperature, or improve thermal.resistance"
    )


def _paused(profile: Profile, loads: Sequence[Load], bottom: OperatingPoint, limit: float) -> OperatingPoint:
    """Hold the cap by pausing at the lowest clock: the moved energy stays, the time grows."""
    still = static_power(profile, bottom.clock, bottom.voltage, bottom.temperature)
    floor = (still.leakage + still.memory_idle + still.clock_gated) / profile.power.regulator_efficiency + still.board
    if floor >= limit:
        raise Infeasible(
            f"a power limit of {limit:.4g} W is below what {profile.name} draws standing still ({floor:.4g} W); "
            f"allow more than {floor:.4g} W"
        )
    stretch = (bottom.power - floor) / (limit - floor)
    return OperatingPoint(bottom.clock, bottom.voltage, bottom.temperature, limit, True, stretch)
