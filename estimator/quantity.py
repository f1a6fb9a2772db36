"""A float that remembers where it comes from: value, range, unit, source and status."""

from typing import Any

from estimator import units
from estimator.errors import InvalidSetting

STATUSES = ("datasheet", "measured", "derived", "assumed")
Numeric = Any  # float | ndarray | SymPy expression: formulas are blind to which it is
KEYS = {"value", "low", "high", "unit", "source", "status", "note"}


class Quantity(float):
    """A number in SI units with its provenance. Behaves as a plain float in every formula.

    Attributes: `low`, `high` (the range that is thought to hold the truth, in the same SI unit; equal to the value when the
    profile states none), `unit`, `source`, `status` (datasheet, measured, derived or assumed) and `note`.
    """

    low: float
    high: float
    unit: str
    source: str
    status: str
    note: str

    def __new__(cls, value, unit="1", low=None, high=None, source="", status="assumed", note=""):
        self = super().__new__(cls, value)
        self.unit, self.source, self.status, self.note = unit, source, status, note
        self.low = value if low is None else low
        self.high = value if high is None else high
        return self

    def __reduce__(self):
        return (Quantity, (float(self), self.unit, self.low, self.high, self.source, self.status, self.note))

    def scaled(self, factor: float, note: str) -> "Quantity":
        """The same quantity times `factor`, as a derived one."""
        return Quantity(self * factor, self.unit, self.low * factor, self.high * factor, self.source, "derived", note)


def read_quantity(given: Any, unit: str) -> Quantity:
    """A `Quantity` in the SI unit `unit` from what a file says: a number in SI, "1.98 GHz", or a sourced table.

    Raises `InvalidSetting` (also a ValueError) that says which key, unit, status or range is wrong.
    """
    if isinstance(given, Quantity):
        return _in_unit(given, unit)
    if isinstance(given, dict):
        return _read_table(given, unit)
    return Quantity(_number(given, None, unit), unit)


def _in_unit(given: Quantity, unit: str) -> Quantity:
    """A plain number is in the unit that is asked for, as in a file."""
    if given.unit == unit:
        return given
    if given.unit != "1":
        raise InvalidSetting(f"wrong unit {given.unit!r}: expected {unit!r}")
    return Quantity(float(given), unit, given.low, given.high, given.source, given.status, given.note)


def _read_table(table: dict, unit: str) -> Quantity:
    unknown = set(table) - KEYS
    if unknown:
        raise InvalidSetting(f"unknown key {sorted(unknown)}; a sourced value has {sorted(KEYS)}")
    if "value" not in table:
        raise InvalidSetting("a sourced value needs 'value'")
    value = _number(table["value"], table.get("unit"), unit)
    low, high = (_number(table.get(key, table["value"]), table.get("unit"), unit) for key in ("low", "high"))
    status = table.get("status", "assumed")
    if status not in STATUSES:
        raise InvalidSetting(f"unknown status {status!r}; one of {', '.join(STATUSES)}")
    if not low <= value <= high:
        raise InvalidSetting(f"the value {value:g} lies outside its own range {low} … {high}")
    return Quantity(value, unit, low, high, table.get("source", ""), status, table.get("note", ""))


def _number(given: Any, stated: str | None, unit: str) -> float:
    if isinstance(given, str):
        return units.parse_quantity(given, unit)
    if isinstance(given, bool) or not isinstance(given, (int, float)):
        raise InvalidSetting(f"{given!r} is no number")
    return units.to_si(float(given), stated or unit, unit)


def dump(quantity: Quantity) -> dict:
    """A quantity as the sourced table that a profile would hold."""
    full = {key: getattr(quantity, key) for key in ("unit", "low", "high", "source", "status", "note")}
    return {"value": float(quantity)} | {key: value for key, value in full.items() if value != ""}
