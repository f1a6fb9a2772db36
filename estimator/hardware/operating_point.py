"""The clock, voltage and temperature at which a chip settles under a power cap.

Voltage follows the clock, the clock follows the cap, leakage follows the temperature and the temperature follows the power:
a fixed point. The cap acts on power over milliseconds, so it is solved for a whole phase, not for each kernel. A limiter that
answers to peaks leaves the mean below its limit, by the swing of the power from kernel to kernel (`estimator.hardware.load`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import inf

from estimator.errors import Infeasible
from estimator.hardware.events import event_energy
from estimator.hardware.load import Load, Together, together
from estimator.hardware.power import junction_temperature, leakage, leakage_growth, runaway, voltage_at
from estimator.hardware.schema import Profile

STEPS = 60  # exact: more than the search ever needs
CLOSE = 1e-12  # exact: the share of a clock to which the cap is met


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """Where the chip settles: clock in Hz, voltage in V, temperature in K, mean board power in W.

    `capped`: the power cap, or the junction's highest temperature, keeps the clock down. `stretch` is above 1 where even the
    lowest clock exceeds the limit, so that the chip must pause: all times are longer by it. A chip with a `clock.capped_minimum` goes
    no lower and exceeds the limit instead.
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
        float(profile.memory.standing_power),
        tree,
        tree * profile.clock.gated_share,
        float(profile.power.board),
    )


def settle(profile: Profile, loads: Sequence[Load], highest: float | None = None) -> OperatingPoint:
    """The fastest point, at most the clock `highest` (Hz), whose power keeps the cap and the junction below its limit.

    Raises `Infeasible` if standing still would exceed either.
    """
    high = float(profile.clock.boost) if highest is None else highest
    low, limit = min(float(profile.clock.capped_minimum or profile.clock.minimum), high), float(profile.power.limit)
    demand = together(profile, loads)
    top = _at(profile, demand, high)
    over = _held(profile, demand, top)
    if over <= limit:
        return top
    bottom = _at(profile, demand, low)
    if bottom.power > limit and (profile.clock.capped_minimum is None or bottom.power == inf):
        return _paused(profile, demand, bottom)
    under = _held(profile, demand, bottom)
    if under >= limit:
        return replace(bottom, capped=True)
    clock = _clock_within(limit, low, high, under, over, lambda clock: _held(profile, demand, _at(profile, demand, clock)))
    return replace(_at(profile, demand, clock), capped=True)


def _held(profile: Profile, demand: Together, point: OperatingPoint) -> float:
    """Power in W that the limiter holds below the cap: the mean, and what it sees of the swing from kernel to kernel."""
    response = profile.power.limiter_response
    if response is None or len(demand.spans) == 1 or point.power == inf:
        return point.power
    swing = demand.swing(point.clock, point.voltage, float(profile.clock.gated_share), float(response))
    return point.power + swing / float(profile.power.regulator_efficiency)


def _clock_within(limit: float, low: float, high: float, below: float, above: float, power: Callable[[float], float]) -> float:
    """The highest clock between `low` and `high` whose power keeps `limit`: the secant method, by halves where it would stand still.

    `below` and `above` are the powers at both ends (Illinois variant; Dowell and Jarratt, BIT 11, 1971).
    """
    under, over, last = below - limit, above - limit, 0
    for _ in range(STEPS):
        if high - low <= CLOSE * high or under == 0:
            break
        clock = low - under * (high - low) / (over - under) if over < inf else (low + high) / 2
        clock = min(max(clock, low + CLOSE / 2 * high), high - CLOSE / 2 * high)
        off = power(clock) - limit
        if off > 0:
            high, over, under = clock, off, under / 2 if last > 0 else under
        else:
            low, under, over = clock, off, over / 2 if last < 0 else over
        last = 1 if off > 0 else -1
    return low


def elapsed(loads: Sequence[Load], point: OperatingPoint) -> float:
    """Seconds that all launches of `loads` take at `point`."""
    return point.stretch * sum(load.launches * load.duration.seconds(point.clock) for load in loads)


def _at(profile: Profile, demand: Together, clock: float) -> OperatingPoint:
    """Balance of temperature and power at a given clock, whatever the cap; infinite where the cooling allows none."""
    voltage = voltage_at(profile, clock)
    other = _power(profile, demand, clock, voltage)
    temperature = junction_temperature(profile, voltage, other)
    if temperature == inf:
        return OperatingPoint(clock, voltage, inf, inf)
    power = other + leakage(profile, voltage, temperature) / profile.power.regulator_efficiency
    return OperatingPoint(clock, voltage, temperature, power)


def _power(profile: Profile, demand: Together, clock: float, voltage: float) -> float:
    """Mean board power in W at a clock and voltage, without leakage."""
    seconds, held = demand.times(clock)
    running = held / seconds
    dynamic = (demand.fixed + demand.capacitance * voltage**2) / seconds
    tree = demand.tree * voltage**2 * clock * (running + (1 - running) * profile.clock.gated_share)
    return (dynamic + tree + profile.memory.standing_power) / profile.power.regulator_efficiency + profile.power.board


def _paused(profile: Profile, demand: Together, bottom: OperatingPoint) -> OperatingPoint:
    """Hold cap and temperature by pausing at the lowest clock: the moved energy stays, the time grows."""
    clock, voltage, efficiency = bottom.clock, bottom.voltage, profile.power.regulator_efficiency
    temperature, limit = _hottest_pause(profile, voltage)
    still = static_power(profile, clock, voltage, temperature)
    leak = still.leakage / efficiency
    floor = (still.memory_idle + still.clock_gated) / efficiency + still.board + leak
    if floor >= limit and limit < profile.power.limit:
        raise runaway(profile, floor - leak)
    if floor >= limit:
        raise Infeasible(
            f"a power limit of {limit:.4g} W is below what {profile.name} draws standing still ({floor:.4g} W); "
            f"allow more than {floor:.4g} W"
        )
    stretch = (_power(profile, demand, clock, voltage) + leak - floor) / (limit - floor)
    return OperatingPoint(clock, voltage, temperature, limit, True, stretch)


def _hottest_pause(profile: Profile, voltage: float) -> tuple[float, float]:
    """(K, W): the temperature at which a pausing chip may work most, and the mean power there.

    That is where cap or junction limit is met, or, with poor cooling, where one more kelvin adds as much leakage as it carries
    heat away.
    """
    thermal, cap = profile.thermal, float(profile.power.limit)
    low, at_cap = float(thermal.ambient), float(thermal.ambient + thermal.resistance * cap)
    high = min(float(thermal.limit), at_cap)

    def gain(temperature: float) -> float:
        growth = leakage(profile, voltage, temperature) * leakage_growth(profile, voltage, temperature)
        return thermal.resistance * growth / profile.power.regulator_efficiency

    if gain(high) > 1:
        for _ in range(STEPS):
            middle = (low + high) / 2
            low, high = (low, middle) if gain(middle) > 1 else (middle, high)
    return high, cap if high == at_cap else float((high - thermal.ambient) / thermal.resistance)
