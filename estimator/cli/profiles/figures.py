"""How the numbers of a profile print, and how they are written back to TOML."""

import json
from collections.abc import Callable

from estimator.hardware.quantity import Quantity
from estimator.units import KELVIN_AT_ZERO_CELSIUS, PREFIX, format_si

SQUARE_MILLIMETRES = 1e6  # exact: in a square metre
PER_SQUARE_MILLIMETRE = 1e-12  # exact: millions per mm² for one per m²
PLAIN = {"V", "MAC/clock", "B/clock", "bit", "K/W"}  # a prefix would not help the reader
DIGITS = 12  # exact: enough for every published figure, too few for a rounding error to show


def shown(path: str, value: float, unit: str) -> str:
    """A number as a datasheet prints it: `"1.98 GHz"`, `"814 mm²"`, `"87 °C"`."""
    if unit == "m2":
        return f"{value * SQUARE_MILLIMETRES:.4g} mm²"
    if unit == "transistor/m2":
        return f"{value * PER_SQUARE_MILLIMETRE:.3g} M/mm²"
    if unit == "K" and not path.endswith("efold"):
        return f"{value - KELVIN_AT_ZERO_CELSIUS:.4g} °C"
    if unit in PLAIN or unit == "K":
        return f"{value:.5g} {unit}"
    if unit == "1":
        return format_si(value) if value >= PREFIX["M"] else f"{value:.7g}"
    return format_si(value, unit, 4)


def interval(path: str, quantity: Quantity) -> str:
    """The stated range, or nothing where there is none."""
    if not quantity.low < quantity.high:
        return ""
    return f"{shown(path, quantity.low, quantity.unit)} … {shown(path, quantity.high, quantity.unit)}"


def toml(quantity: Quantity) -> str:
    """The inline table that a profile would hold, with a readable unit."""
    unit, number = _readable(quantity)
    parts = {"value": number(quantity)}
    if quantity.low < quantity.high:
        parts |= {"low": number(quantity.low), "high": number(quantity.high)}
    texts = {"unit": unit, "source": quantity.source, "status": quantity.status, "note": quantity.note}
    parts |= {key: text(value) for key, value in texts.items() if value}
    return "{ " + ", ".join(f"{key} = {value}" for key, value in parts.items()) + " }"


def short_toml(quantity: Quantity) -> str:
    """The value alone: a number, or a text with its unit."""
    unit, number = _readable(quantity)
    return text(f"{number(quantity)} {unit}") if unit else number(quantity)


def text(value: str) -> str:
    """A TOML string."""
    return json.dumps(value, ensure_ascii=False)


def _readable(quantity: Quantity) -> tuple[str, Callable[[float], str]]:
    """A unit for people, and how a number in SI is written in it."""
    if quantity.unit == "K" and quantity > KELVIN_AT_ZERO_CELSIUS:
        return "degC", lambda value: f"{value - KELVIN_AT_ZERO_CELSIUS:.{DIGITS}g}"
    scale, unit = _scale(quantity)
    return unit, lambda value: f"{value / scale:.{DIGITS}g}"


def _scale(quantity: Quantity) -> tuple[float, str]:
    if quantity.unit == "m2":
        return 1 / SQUARE_MILLIMETRES, "mm2"
    if quantity.unit == "transistor/m2":
        return 1 / PER_SQUARE_MILLIMETRE, "Mtransistor/mm2"
    if quantity.unit == "1" or quantity.unit in PLAIN | {"K"}:
        return 1.0, "" if quantity.unit == "1" else quantity.unit
    steps = [(factor, symbol) for symbol, factor in PREFIX.items() if symbol != "u"]
    factor, symbol = max((step for step in steps if step[0] <= abs(quantity)), default=min(steps)) if quantity else (1.0, "")
    return factor, f"{symbol}{quantity.unit}"
