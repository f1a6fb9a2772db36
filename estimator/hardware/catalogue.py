"""Finds hardware profiles by name, alias or path and checks what they say against the schema."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from estimator.errors import InvalidSetting, ProfileError, unknown_name
from estimator.facts import profiles_dir
from estimator.hardware.inheritance import HINT, inherited, read_toml, resolve, roots, with_provenance
from estimator.hardware.plugins import plugin_folders
from estimator.hardware.schema import Profile

__all__ = ["find_profile", "inherited", "list_profiles", "load_profile", "plugin_profiles", "profiles_dir", "read_toml", "with_provenance"]


def list_profiles() -> list[str]:
    """Names of all devices in the catalogue; those that other packages bring along are not among them."""
    return sorted(_devices(profiles_dir()))


def plugin_profiles() -> list[str]:
    """Names of the devices that other installed packages bring along."""
    return sorted({name for root in plugin_folders() for name in _devices(root)} - set(list_profiles()))


def _devices(root: Path) -> dict[str, Path]:
    return {path.stem: path for path in (root / "device").glob("*.toml")}


BRANDS = {"nvidia", "amd", "intel", "google", "aws", "apple", "geforce", "tesla", "instinct", "tm"}  # words that tell no two parts apart


@cache
def _aliases(root: Path) -> dict[str, Path]:
    """The file of every name and alias in a folder, in lower case, and of each without brands and separators."""
    names: dict[str, Path] = {}
    for alias, path in _called(root):
        for spelling in (alias.lower(), _bare(alias)):
            other = names.setdefault(spelling, path)
            if other != path:
                raise ProfileError(f"alias {alias!r} belongs to both {other.stem!r} and {path.stem!r}; keep it in one of them")
    return names


def _called(root: Path) -> Iterator[tuple[str, Path]]:
    for name, path in sorted(_devices(root).items()):
        table = read_toml(path)
        yield from ((alias, path) for alias in (name, table.get("name", name), *table.get("aliases", ())))


def _bare(name: str) -> str:
    """A name as it is told from others: "NVIDIA A100-SXM4-80GB" and "a100 sxm4 80gb" are one."""
    return "".join(word for word in re.split(r"[^a-z0-9+]+", name.lower()) if word not in BRANDS)


def known_as(name: str) -> Path | None:
    """The file of a device by its exact name or alias, None where no device is called so."""
    return next((path for root in roots() if (path := _aliases(root).get(name.lower()))), None)


def find_profile(name: str) -> Path:
    """The file of a device by its name or alias; raises `UnknownName` with the nearest names."""
    if path := known_as(name) or known_as(_bare(name)):
        return path
    known = {name for root in roots() for alias, path in _called(root) for name in (path.stem, alias.upper())}
    raise unknown_name("hardware", name, known, HINT)


def load_profile(hw: "str | Path | Mapping[str, Any] | Profile") -> Profile:
    """The `Profile` of a catalogue name or alias, a path to a TOML file, or a mapping of the same shape.

    Raises `UnknownName` (nearest names listed) and `ProfileError` (file, key and reason of every fault).
    """
    if isinstance(hw, Profile):
        return hw
    if isinstance(hw, Mapping):
        return _build(dict(hw), "the given mapping", None)
    if not isinstance(hw, (str, Path)):
        raise InvalidSetting(f"hw={hw!r}: expected a name, a path to a TOML file, a mapping or a Profile; {HINT}")
    path = Path(hw)
    if path.suffix == ".toml":
        return _build(read_toml(path), str(path), path.parent)
    return _load_named(str(hw))


@cache
def _load_named(hw: str) -> Profile:
    path = find_profile(hw)
    return _build(read_toml(path), f"{path.parent.name}/{path.name}", None)


def _build(table: dict, where: str, beside: Path | None) -> Profile:
    merged = resolve(table, where, beside, ())
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
