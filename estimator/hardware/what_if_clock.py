"""Another clock, another voltage, or both: what the voltage-frequency curve of a part allows."""

from math import inf, nextafter
from typing import Any

from estimator.errors import WARNING, Infeasible
from estimator.hardware.power import voltage_at
from estimator.hardware.schema import Profile
from estimator.hardware.what_if_change import changed, given
from estimator.quantity import Quantity
from estimator.transistor.delay import clock_frequency, gain_through
from estimator.units import format_si

ABOVE_ZERO = nextafter(0.0, inf)
ROUNDING = 1e-9  # exact: a clock computed from a voltage must be feasible at that voltage


def clocked(profile: Profile, clock: Any, voltage: Any) -> Profile:
    """`profile` with its curve ending at `clock` (Hz) and `voltage` (V), of which one may be None; raises `Infeasible`."""
    if voltage is None:
        return _at_clock(profile, _clock(profile, clock))
    supply = _voltage(profile, voltage)
    return _at_voltage(profile, supply) if clock is None else _at_both(profile, _clock(profile, clock), supply)


def clock_allowed(profile: Profile, voltage: float) -> float:
    """Highest clock in Hz that the alpha-power law of the part allows at `voltage` (V)."""
    curve = profile.clock
    law = {"threshold_voltage": float(curve.threshold_voltage), "exponent": float(curve.velocity_exponent)}
    return clock_frequency(voltage, gain=gain_through(float(curve.boost), float(curve.voltage_at_boost), **law), **law)


def _clock(profile: Profile, value: Any) -> Quantity:
    clock, curve = given("clock", value, "Hz", ABOVE_ZERO, inf, "hertz above zero, or a text such as '1.2 GHz'"), profile.clock
    if clock > curve.boost * (1 + ROUNDING):
        raise Infeasible(
            f"clock={_hertz(clock)}: the voltage-frequency curve of {profile.name} ends at {_hertz(curve.boost)} "
            f"({curve.voltage_at_boost:.3g} V); give at most that"
        )
    if clock < curve.minimum:
        raise Infeasible(f"clock={_hertz(clock)}: {profile.name} does not clock below {_hertz(curve.minimum)}; give at least that")
    return clock


def _voltage(profile: Profile, value: Any) -> Quantity:
    voltage, curve = given("voltage", value, "V", ABOVE_ZERO, inf, "volts above zero, or a text such as '0.8 V'"), profile.clock
    if voltage <= curve.threshold_voltage:
        raise Infeasible(
            f"voltage={voltage:.3g} V: the transistors of {profile.name} switch on at their threshold of {curve.threshold_voltage:.3g} V; "
            f"give more than that, up to {curve.voltage_at_boost:.3g} V"
        )
    if voltage > curve.voltage_at_boost * (1 + ROUNDING):
        raise Infeasible(
            f"voltage={voltage:.3g} V: the voltage-frequency curve of {profile.name} ends at {curve.voltage_at_boost:.3g} V "
            f"({_hertz(curve.boost)}); give at most that"
        )
    return voltage


def _at_clock(profile: Profile, clock: Quantity) -> Profile:
    voltage = voltage_at(profile, float(clock))
    words = f"clock at most {_hertz(clock)}, which takes {voltage:.3g} V by the part's curve; a power cap may still lower it"
    needed = profile.clock.voltage_at_boost.scaled(voltage / profile.clock.voltage_at_boost, words)
    return changed(profile, _hertz(clock), words, clock={"boost": clock, "voltage_at_boost": needed})


def _at_voltage(profile: Profile, voltage: Quantity) -> Profile:
    curve, allowed = profile.clock, clock_allowed(profile, float(voltage))
    words = f"core voltage {voltage:.3g} V, at which the part's curve allows {_hertz(allowed)}"
    section = {
        "boost": Quantity(allowed, "Hz", source=curve.boost.source, status="derived", note=words),
        "voltage_at_boost": voltage,
        "voltage_floor": min(curve.voltage_floor, voltage),
        "minimum": min(curve.minimum, allowed),
    }
    below = [f"{WARNING}{voltage:.3g} V is below the {curve.voltage_floor:.3g} V that {profile.name} keeps at least: memories may fail"]
    return changed(profile, f"{voltage:.3g} V", words, *below[: int(voltage < curve.voltage_floor)], clock=section)


def _at_both(profile: Profile, clock: Quantity, voltage: Quantity) -> Profile:
    needed, allowed = voltage_at(profile, float(clock)), clock_allowed(profile, float(voltage))
    if clock > allowed * (1 + ROUNDING):
        raise Infeasible(
            f"clock={_hertz(clock)} and voltage={voltage:.3g} V contradict each other: by the curve of {profile.name} that clock needs "
            f"{needed:.3g} V, and that voltage allows {_hertz(allowed)}; give one of the two, or a feasible pair"
        )
    words = f"clock at most {_hertz(clock)} at {voltage:.3g} V held; the part's curve asks for {needed:.3g} V"
    section = {"boost": clock, "voltage_at_boost": voltage, "voltage_floor": voltage}
    return changed(profile, f"{_hertz(clock)} at {voltage:.3g} V", words, clock=section)


def _hertz(clock: float) -> str:
    return format_si(clock, "Hz", 4)
