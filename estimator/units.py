"""SI units at the door: text such as "1980 MHz" becomes 1.98e9, and 0.0119 J prints as "11.9 mJ".

Inside the package every number is in SI base units (J, W, s, Hz, V, F, K, B, bit); prefixes exist only here.
"""

import math

from estimator.errors import InvalidSetting

PREFIX = {"a": 1e-18, "f": 1e-15, "p": 1e-12, "n": 1e-9, "u": 1e-6, "µ": 1e-6, "m": 1e-3, "": 1.0,
          "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18, "Z": 1e21, "Y": 1e24}  # fmt: skip
BINARY_PREFIX = {"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40}
BASE = {"J", "W", "s", "Hz", "V", "A", "F", "K", "m", "m2", "B", "bit", "FLOP", "MAC", "transistor", "clock", "g", "1"}
KELVIN_AT_ZERO_CELSIUS = 273.15
SECONDS_PER_HOUR = 3600.0


def split_unit(unit: str) -> tuple[float, str]:
    """Scale and base form of a unit: `"pJ/bit"` → `(1e-12, "J/bit")`; raises `InvalidSetting` if unknown."""
    scale, parts = 1.0, []
    for index, part in enumerate(unit.split("/")):
        factor, base = _split_part(part, unit)
        scale = scale / factor if index else scale * factor
        parts.append(base)
    return scale, "/".join(parts)


def _split_part(part: str, whole: str) -> tuple[float, str]:
    if part in BASE:
        return 1.0, part
    if part == "Wh":
        return SECONDS_PER_HOUR, "J"
    for prefix, factor in (BINARY_PREFIX | PREFIX).items():
        if prefix and part.startswith(prefix):
            rest = part[len(prefix) :]
            if rest == "Wh":
                return factor * SECONDS_PER_HOUR, "J"
            if rest in BASE and rest != "1":
                return (factor**2 if rest == "m2" else factor), rest  # a prefix belongs to the metre: 1 um2 is 1e-12 m2
    known = ", ".join(sorted(BASE))
    raise InvalidSetting(f"unknown unit {whole!r}: expected a prefix and one of {known}, or a ratio of them, such as 'pJ/bit'")


def to_si(value: float, unit: str, expected: str) -> float:
    """`value` given in `unit`, as a float in the SI unit `expected`.

    Degrees Celsius (`degC`) are accepted where kelvin are expected. Raises `InvalidSetting` on another dimension.
    """
    if unit == "degC" and expected == "K":
        return value + KELVIN_AT_ZERO_CELSIUS
    scale, base = split_unit(unit)
    if base != expected:
        raise InvalidSetting(f"wrong unit {unit!r}: expected {expected!r}, with any SI prefix")
    return value * scale


def parse_quantity(text: str, expected: str) -> float:
    """Read `"1980 MHz"` where `expected` is `"Hz"`; raises `InvalidSetting` for anything else."""
    number, _, unit = text.strip().partition(" ")
    try:
        value = float(number)
    except ValueError:
        raise InvalidSetting(f"cannot read {text!r}: expected a number, a space and a unit, such as '1.2 {expected}'") from None
    return to_si(value, unit.strip() or "1", expected)


def format_si(value: float, unit: str = "", digits: int = 3) -> str:
    """A number with an SI prefix: `format_si(0.0119, "J")` → `"11.9 mJ"`. Zero, infinities and NaN stay plain."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g} {unit}".strip()
    for symbol, factor in sorted(PREFIX.items(), key=lambda item: -item[1]):
        if symbol != "u" and float(f"{abs(value):.{digits}g}") >= factor:
            break
    mantissa = f"{value / factor:.{digits}g}"
    if "e" in mantissa:
        mantissa = f"{float(mantissa):.0f}"
    return f"{mantissa} {symbol}{unit}".strip()


def format_change(fraction: float) -> str:
    """A relative change in whole percent, with its sign where it has one: `-0.013` → "-1%", `0.004` → "0%"."""
    return text if (text := f"{fraction:+.0%}").strip("+-") != "0%" else "0%"


def require_positive(name: str, value: float) -> float:
    """`value` as given if it is a finite number above zero; raises `InvalidSetting` otherwise."""
    return _require(name, value, "above zero", lambda x: x > 0)


def require_non_negative(name: str, value: float) -> float:
    """`value` as given if it is a finite number of at least zero; raises `InvalidSetting` otherwise."""
    return _require(name, value, "of at least zero", lambda x: x >= 0)


def require_share(name: str, value: float) -> float:
    """`value` as given if it is a number from 0 to 1; raises `InvalidSetting` otherwise."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise InvalidSetting(f"{name}={value!r}: expected a share between 0 and 1")
    return value


def require_count(name: str, value: object) -> None:
    """Raises `InvalidSetting` unless `value` is a whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidSetting(f"{name}={value!r}: expected a whole number of at least 1")


def _require(name, value, what, holds):
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or not holds(value):
        raise InvalidSetting(f"{name}={value!r}: expected a finite number {what}")
    return value
