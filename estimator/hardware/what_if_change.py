"""How a what-if changes a profile: some numbers replaced, its name extended, and the change put in words."""

from typing import Any

from estimator.errors import InvalidSetting
from estimator.hardware.schema import Profile
from estimator.quantity import Quantity, read_quantity

GIVEN = "set by a what-if"


def changed(profile: Profile, label: str, words: str, *more: str, **sections: Any) -> Profile:
    """`profile` with fields replaced: a mapping changes fields of a section, anything else replaces the field.

    `label` extends the name, `words` and `more` tell the reader what is different.
    """
    update = {
        name: getattr(profile, name).model_copy(update=value) if isinstance(value, dict) else value for name, value in sections.items()
    }
    return profile.model_copy(
        update=update | {"name": f"{profile.name}, {label}", "aliases": (), "what_if": (*profile.what_if, f"what-if: {words}", *more)}
    )


def given(name: str, value: Any, unit: str, low: float, high: float, allowed: str) -> Quantity:
    """What the user set, in SI; a text may state its unit. Raises `InvalidSetting` unless it lies between `low` and `high`."""
    try:
        number = float(read_quantity(value, unit))
    except (InvalidSetting, TypeError) as error:
        raise InvalidSetting(f"{name}={value!r}: {error}; expected {allowed}") from None
    if not low <= number <= high:
        raise InvalidSetting(f"{name}={value!r}: expected {allowed}")
    return Quantity(number, unit, source=GIVEN, status="assumed")


def share(name: str, value: Any) -> Quantity:
    """A share between 0 and 1."""
    return given(name, value, "1", 0, 1, "a share between 0 and 1")
