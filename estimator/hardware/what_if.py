"""A part at other operating conditions: `profile.at(clock="1.2 GHz")`, `.at(power_limit=400, ambient="35 degC")`.

A what-if is a profile like any other: the numbers that it changes are replaced, and everything downstream follows. `what_if` of
the result says in words what was changed; the report prints it.
"""

from math import inf, nextafter
from typing import Any

from estimator.errors import WARNING, Infeasible, InvalidSetting, unknown_name
from estimator.facts import load_facts
from estimator.hardware.schema import Profile
from estimator.hardware.what_if_change import changed, given, share
from estimator.hardware.what_if_clock import clocked
from estimator.transistor.leakage import power_gated
from estimator.units import KELVIN_AT_ZERO_CELSIUS

ABOVE_ZERO = nextafter(0.0, inf)


def at(
    profile: Profile,
    *,
    clock: Any = None,
    voltage: Any = None,
    power_limit: Any = None,
    temperature: Any = None,
    ambient: Any = None,
    thermal_resistance: Any = None,
    activity: Any = None,
    clock_gating: Any = None,
    power_gating: Any = None,
) -> Profile:
    """`profile` at other conditions. A quantity is a number in SI units or a text with a unit, such as "1.2 GHz" or "60 degC".

    `clock` (Hz) and `voltage` (V): either fixes the other through the voltage-frequency curve; a voltage above what the clock
    needs is held and costs energy. The clock is the highest: a power cap may still lower it, as on the real part.
    `power_limit` (W); a cap that the driver would refuse is computed with a warning.
    `temperature` (K) holds the junction; `ambient` (K) and `thermal_resistance` (K/W) let it find its balance instead.
    `activity`: how often operand bits toggle: "random" (1), "zeros" (0), "ones", "weights" or a number up to 2.
    `clock_gating`: share of the clock tree that stands still while no kernel runs. `power_gating`: share of the leaking
    transistors behind sleep switches that are off.

    Raises `InvalidSetting` for what is no such quantity or contradicts itself, `Infeasible` for what the chip cannot do,
    `UnknownName` for operands that nobody counted.
    """
    if clock is not None or voltage is not None:
        profile = clocked(profile, clock, voltage)
    if power_limit is not None:
        profile = _capped(profile, power_limit)
    if temperature is not None:
        profile = _held(profile, temperature, ambient, thermal_resistance)
    elif ambient is not None or thermal_resistance is not None:
        profile = _cooled(profile, ambient, thermal_resistance)
    if activity is not None:
        profile = _toggling(profile, activity)
    if clock_gating is not None:
        profile = _clock_gated(profile, clock_gating)
    return profile if power_gating is None else _power_gated(profile, power_gating)


def _capped(profile: Profile, given_limit: Any) -> Profile:
    limit, power = given("power_limit", given_limit, "W", ABOVE_ZERO, inf, "watts above zero"), profile.power
    low, high = power.minimum_limit, power.limit if power.maximum_limit is None else power.maximum_limit
    allowed = f"{low:g} to {high:g} W" if low is not None else f"up to {high:g} W"
    outside = limit > high or (low is not None and limit < low)
    warning = (f"{WARNING}the driver of {profile.name} accepts caps of {allowed}; {limit:g} W is computed all the same",)
    words = f"power cap {limit:g} W instead of {power.limit:g} W"
    return changed(profile, f"{limit:g} W cap", words, *warning[: int(outside)], power={"limit": limit})


def _held(profile: Profile, temperature: Any, ambient: Any, resistance: Any) -> Profile:
    if ambient is not None or resistance is not None:
        other = "ambient" if ambient is not None else "thermal_resistance"
        raise InvalidSetting(
            f"temperature={temperature!r} was given together with {other}: temperature holds the junction, {other} lets it find its "
            "own balance; give one or the other"
        )
    held, highest = _kelvin("temperature", temperature), profile.thermal.limit
    warnings = []
    if held > highest:
        warnings.append(f"{WARNING}{_celsius(held)} is above the highest junction temperature of {profile.name}, {_celsius(highest)}")
    thermal = {"ambient": held, "resistance": given("", 0, "K/W", 0, 0, ""), "limit": max(held, highest)}
    return changed(profile, f"junction {_celsius(held)}", f"junction held at {_celsius(held)}", *warnings, *_cold(held), thermal=thermal)


def _cooled(profile: Profile, ambient: Any, resistance: Any) -> Profile:
    thermal: dict[str, Any] = {}
    words, warnings = [], []
    if ambient is not None:
        thermal["ambient"] = air = _kelvin("ambient", ambient)
        if air >= profile.thermal.limit:
            raise Infeasible(
                f"ambient={ambient!r}: {_celsius(air)} is no cooler than the highest junction temperature of {profile.name}, "
                f"{_celsius(profile.thermal.limit)}; give less, or temperature=… to hold the junction itself"
            )
        words.append(f"air or coolant at {_celsius(air)}")
        warnings += _cold(air)
    if resistance is not None:
        thermal["resistance"] = given("thermal_resistance", resistance, "K/W", 0, inf, "kelvin per watt, at least zero")
        words.append(f"{thermal['resistance']:g} K/W from junction to ambient")
    return changed(profile, ", ".join(words), " and ".join(words), *warnings, thermal=thermal)


def _kelvin(name: str, value: Any) -> Any:
    return given(name, value, "K", ABOVE_ZERO, inf, "kelvin above absolute zero, or a text such as '60 degC'")


def _celsius(temperature: float) -> str:
    return f"{temperature - KELVIN_AT_ZERO_CELSIUS:.0f} °C"


def _cold(temperature: float) -> list[str]:
    if temperature >= KELVIN_AT_ZERO_CELSIUS:
        return []
    doubt = f"{temperature:g} K is {_celsius(temperature)}, colder than any figure here was taken at"
    return [f"{WARNING}{doubt}; write '{temperature:g} degC' if Celsius was meant"]


def _toggling(profile: Profile, activity: Any) -> Profile:
    known = load_facts("physics/what_if")["activity"]
    allowed = "operands by name, or their toggling as a number from 0 (zeros) over 1 (random) to 2"
    if isinstance(activity, str):
        if activity not in known:
            raise unknown_name("operands", activity, known, "Or give a number: 0 for zeros, 1 for random data.")
        amount, label = known[activity], activity
    else:
        amount = given("activity", activity, "1", 0, 2, allowed)
        label = f"activity {amount:g}"
    return changed(profile, label, f"operand bits toggle {amount:g} times as often as those of random data", activity=amount)


def _clock_gated(profile: Profile, clock_gating: Any) -> Profile:
    gated = share("clock_gating", clock_gating)
    words = f"{gated:.0%} of the clock tree stands still while no kernel runs, instead of {1 - profile.clock.gated_share:.0%}"
    toggling = given("", 1 - gated, "1", 0, 1, "")
    return changed(profile, f"{gated:.0%} clock gating", words, clock={"gated_share": toggling})


def _power_gated(profile: Profile, power_gating: Any) -> Profile:
    asleep, leakage = share("power_gating", power_gating), profile.process.leakage
    residual = load_facts("physics/what_if")["power_gating"]["residual"]
    left = float(power_gated(1, asleep, residual=residual))
    words = f"{asleep:.0%} of the transistors are behind sleep switches, which pass {residual:.0%} of their leakage"
    return changed(profile, f"{asleep:.0%} power gating", words, process={"leakage": leakage.scaled(left, words)})
