"""Finds hardware profiles and puts each together from the files that it inherits.

A profile is TOML. `inherits = ["hopper", "hbm3"]` merges those files first, in that order, each with its own parents; a
later value replaces an earlier one. `source` and `status` at the top of a file or of a table are the defaults of every number
in it, so a number keeps the provenance of the place in which it stands. Reading a profile executes nothing.
"""

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from estimator.errors import ProfileError, unknown_name
from estimator.facts import profiles_dir
from estimator.hardware.quantity import Quantity
from estimator.hardware.schema import Profile

PARTS = ("node", "family", "memory", "link")
HINT = "`python -m estimator profiles` lists all; a path to a TOML file is accepted too."


def list_profiles() -> list[str]:
    """Names of all devices in the catalogue."""
    return sorted(path.stem for path in (profiles_dir() / "device").glob("*.toml"))


@cache
def _aliases() -> dict[str, str]:
    names: dict[str, str] = {}
    for name in list_profiles():
        table = _read(profiles_dir() / "device" / f"{name}.toml")
        for alias in (name, table.get("name", name), *table.get("aliases", ())):
            key = alias.lower()
            if names.setdefault(key, name) != name:
                raise ProfileError(f"alias {alias!r} belongs to both {names[key]!r} and {name!r}; keep it in one of them")
    return names


def load_profile(hw: "str | Path | Mapping[str, Any] | Profile") -> Profile:
    """The `Profile` of a catalogue name or alias, a path to a TOML file, or a mapping of the same shape.

    Raises `UnknownName` (nearest names listed) and `ProfileError` (file, key and reason of every fault).
    """
    if isinstance(hw, Profile):
        return hw
    if isinstance(hw, Mapping):
        return _build(dict(hw), "the given mapping", None)
    path = Path(hw)
    if path.suffix == ".toml":
        if not path.is_file():
            raise ProfileError(f"no profile file at {str(path)!r}; give an existing TOML file or a name. {HINT}")
        return _build(_read(path), str(path), path.parent)
    return _load_named(str(hw))


@cache
def _load_named(hw: str) -> Profile:
    name = _aliases().get(hw.lower())
    if name is None:
        raise unknown_name("hardware", hw, set(list_profiles()) | {alias.upper() for alias in _aliases()}, HINT)
    path = profiles_dir() / "device" / f"{name}.toml"
    return _build(_read(path), str(path.relative_to(profiles_dir())), None)


def _read(path: Path) -> dict:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProfileError(f"{path}: not valid TOML: {error}") from None


def _build(table: dict, where: str, beside: Path | None) -> Profile:
    merged = _resolve(table, where, beside, ())
    try:
        return Profile.model_validate(merged)
    except ValidationError as error:
        faults = "\n".join(f"  {'.'.join(map(str, e['loc'])) or 'profile'}: {_say(e)}" for e in error.errors())
        raise ProfileError(f"{where} is no usable profile:\n{faults}\nSee hardware_profiles/README.md for every key.") from None


def _say(error) -> str:
    if error["type"] == "extra_forbidden":
        return "unknown key; remove it or correct its spelling"
    if error["type"] == "missing":
        return "missing; state it here or inherit it"
    return error["msg"].removeprefix("Value error, ")


def _resolve(table: dict, where: str, beside: Path | None, seen: tuple[str, ...]) -> dict:
    """`table` with everything it inherits merged below it, and its default source and status put on each number."""
    table = dict(table)
    parents = table.pop("inherits", [])
    result: dict = {}
    for parent in parents if isinstance(parents, (list, tuple)) else [parents]:
        if not isinstance(parent, str):
            raise ProfileError(f'{where} inherits {parent!r}: `inherits` is a name or a list of names, such as ["hopper", "hbm3"]')
        if parent in seen:
            raise ProfileError(f"{where} inherits {parent!r} in a circle: {' ← '.join((*seen, parent))}; break it")
        path = _find_part(parent, where, beside)
        _merge(result, _resolve(_read(path), path.name, path.parent, (*seen, parent)))
    _merge(result, with_provenance(table, "", "assumed"))
    return result


def _find_part(name: str, where: str, beside: Path | None) -> Path:
    folders = [*([beside] if beside else []), *(profiles_dir() / part for part in (*PARTS, "device"))]
    for folder in folders:
        if (folder / f"{name}.toml").is_file():
            return folder / f"{name}.toml"
    known = [path.stem for folder in folders for path in folder.glob("*.toml")]
    raise ProfileError(f"{where}: {unknown_name('parent profile', name, known, 'Correct `inherits`.')}")


TEXT = {"name", "aliases", "vendor", "architecture", "kind", "notes", "year", "node_nm", "fusion", "what_if"}


def with_provenance(table: Mapping, source: str, status: str) -> dict:
    """`table` with the default source and status put on every number that states none; a table may state its own defaults."""
    source, status = table.get("source", source), table.get("status", status)
    result: dict = {}
    for key, value in table.items():
        if key in ("source", "status"):
            continue
        if key in TEXT or value is None or isinstance(value, Quantity):
            result[key] = value
        elif isinstance(value, Mapping) and "value" not in value:
            result[key] = with_provenance(value, source, status)
        else:
            leaf = dict(value) if isinstance(value, Mapping) else {"value": value}
            result[key] = {"source": source, "status": status} | leaf
    return result


def _merge(into: dict, other: Mapping) -> None:
    for key, value in other.items():
        old = into.get(key)
        if isinstance(value, Mapping) and "value" not in value and isinstance(old, dict):
            _merge(old, value)
        else:
            into[key] = value
