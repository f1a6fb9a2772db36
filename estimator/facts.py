"""Reads the published numbers of the lowest floors from `hardware_profiles/`: TOML in which every number has its source.

`source`, `status` and `unit` may stand at the top of a file or of any table; they are the defaults of the numbers below. A
file may inherit another one of its folder. Reading executes nothing and needs no library.
"""

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from estimator.errors import InvalidSetting, ProfileError
from estimator.quantity import Quantity, read_quantity
from estimator.units import split_unit

DEFAULTS = ("source", "status", "unit")


@cache
def profiles_dir() -> Path:
    """The folder `hardware_profiles/`: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent
    inside = package / "hardware_profiles"
    return inside if inside.is_dir() else package.parent / "hardware_profiles"


@cache
def load_facts(name: str) -> dict[str, Any]:
    """All of `hardware_profiles/{name}.toml` with its numbers as `Quantity`; treat the result as read-only.

    Raises `ProfileError` with the file, the key and the reason of the first fault.
    """
    path = profiles_dir() / f"{name}.toml"
    if not path.is_file():
        raise ProfileError(f"no file {path.name!r} in {str(path.parent)!r}; install the package with its hardware_profiles")
    try:
        return read_facts(path.read_text(encoding="utf-8"), name)
    except tomllib.TOMLDecodeError as error:
        raise ProfileError(f"{name}.toml: not valid TOML: {error}") from None


def read_facts(text: str, name: str) -> dict[str, Any]:
    """The tables in a TOML `text`; `name` is the file it came from, whose folder holds what it inherits."""
    table = tomllib.loads(text)
    parent = table.pop("inherits", None)
    own = _quantities(table, {"status": "assumed"}, f"{name}.toml")
    return _merged(load_facts(f"{name.rpartition('/')[0]}/{parent}"), own) if parent else own


def _quantities(table: Mapping, defaults: Mapping, where: str) -> dict[str, Any]:
    defaults = {**defaults, **{key: table[key] for key in DEFAULTS if key in table}}
    rest = {key: value for key, value in table.items() if key not in DEFAULTS}
    return {key: _value(value, defaults, f"{where}: {key}") for key, value in rest.items()}


def _value(given: Any, defaults: Mapping, where: str) -> Any:
    if isinstance(given, Mapping) and "value" not in given:
        return _quantities(given, defaults, where)
    if isinstance(given, str):
        return given
    leaf = {"unit": "1", **defaults, **(given if isinstance(given, Mapping) else {"value": given})}
    try:
        return read_quantity(leaf, _base_of(leaf["unit"]))
    except InvalidSetting as error:
        raise ProfileError(f"{where}: {error}") from None


def _base_of(unit: str) -> str:
    return "K" if unit == "degC" else split_unit(unit)[1]


def _merged(below: Mapping, above: Mapping) -> dict[str, Any]:
    both = {key: _merged(below[key], above[key]) for key in below.keys() & above.keys() if isinstance(above[key], Mapping)}
    return {**below, **above, **both}


def leaves(table: Mapping, path: str = "") -> dict[str, Quantity]:
    """Every sourced number of a table by dotted path, such as `"sram.tree_reach"`."""
    found: dict[str, Quantity] = {}
    for key, value in table.items():
        here = f"{path}.{key}".lstrip(".")
        found |= leaves(value, here) if isinstance(value, Mapping) else {here: value} if isinstance(value, Quantity) else {}
    return found
