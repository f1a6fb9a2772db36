"""Puts a profile together from the files that it inherits.

A profile is TOML. `inherits = ["hopper", "hbm3"]` merges those files first, in that order, each with its own parents; a
later value replaces an earlier one. `source` and `status` at the top of a file or of a table are the defaults of every number
in it, so a number keeps the provenance of the place in which it stands. Reading a profile executes nothing.
"""

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from estimator.errors import ProfileError, unknown_name
from estimator.facts import profiles_dir
from estimator.hardware.plugins import plugin_folders
from estimator.hardware.quantity import Quantity

PARTS = ("node", "family", "memory", "link")
HINT = "`python -m estimator profiles` lists all; a path to a TOML file is accepted too."


def roots() -> Iterator[Path]:
    """The catalogue, and only for what is not in it the folders of other packages."""
    yield profiles_dir()
    yield from plugin_folders()


def read_toml(path: Path) -> dict:
    """The tables of a file as they stand, parsed once for each version of the file; treat the result as read-only.

    Raises `ProfileError` for a missing file and for what is not TOML.
    """
    if not path.is_file():
        raise ProfileError(f"no profile file at {str(path)!r}; give an existing TOML file or a name. {HINT}")
    return _parsed(path, path.stat().st_mtime_ns)


@cache
def _parsed(path: Path, _modified: int) -> dict:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProfileError(f"{path}: not valid TOML: {error}") from None


def inherited(table: Mapping, where: str, beside: Path | None) -> dict:
    """What `table` inherits, merged, with its provenance on each number; `beside` is the folder whose files come first."""
    return resolve({"inherits": table.get("inherits", [])}, where, beside, ())


def resolve(table: dict, where: str, beside: Path | None, seen: tuple[str, ...]) -> dict:
    """`table` with everything it inherits merged below it, and its default source and status put on each number."""
    table = dict(table)
    parents = table.pop("inherits", [])
    result: dict = {}
    for parent in parents if isinstance(parents, (list, tuple)) else [parents]:
        if not isinstance(parent, str):
            raise ProfileError(f'{where} inherits {parent!r}: `inherits` is a name or a list of names, such as ["hopper", "hbm3"]')
        if parent in seen:
            raise ProfileError(f"{where} inherits {parent!r} in a circle: {' ← '.join((*seen, parent))}; break it")
        path = find_part(parent, where, beside)
        _merge(result, resolve(read_toml(path), path.name, path.parent, (*seen, parent)))
    _merge(result, with_provenance(table, "", "assumed"))
    return result


def find_part(name: str, where: str, beside: Path | None) -> Path:
    """The file of a parent profile, first in the folder `beside`; `where` names who inherits it. Raises `ProfileError`."""
    for folder in _part_folders(beside):
        if (folder / f"{name}.toml").is_file():
            return folder / f"{name}.toml"
    known = [path.stem for folder in _part_folders(beside) for path in folder.glob("*.toml")]
    raise ProfileError(f"{where}: {unknown_name('parent profile', name, known, 'Correct `inherits`.')}")


def _part_folders(beside: Path | None) -> Iterator[Path]:
    if beside:
        yield beside
    for root in roots():
        yield from (root / part for part in (*PARTS, "device"))


TEXT = {"name", "aliases", "vendor", "architecture", "kind", "notes", "year", "node_nm", "fusion", "what_if", "access"}


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
