"""In which file each number of a profile stands: the device's own, or that of a family, a memory, a link or a node."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from estimator.hardware.inheritance import TEXT, find_part, read_toml

SKIPPED = TEXT | {"inherits", "source", "status"}


def homes(path: Path) -> dict[str, Path]:
    """The file of every number by dotted path, as the merge of a profile decides it: the last parent that states it, or `path`."""
    found: dict[str, Path] = {}
    for parent in parents(path):
        found |= homes(parent)
    return found | dict.fromkeys(dict(stated(path)), path)


def parents(path: Path) -> list[Path]:
    """The files that a profile's file inherits directly, in the order of the merge."""
    named = read_toml(path).get("inherits", [])
    return [find_part(name, path.name, path.parent) for name in (named if isinstance(named, list) else [named])]


def lineage(path: Path) -> Iterator[Path]:
    """The file and all that it inherits, directly or not."""
    yield path
    for parent in parents(path):
        yield from lineage(parent)


def stated(path: Path) -> Iterator[tuple[str, Any]]:
    """(dotted path, what the file says) of every number in the file itself: a number, a text with a unit, or a sourced table."""
    yield from _leaves(read_toml(path), "")


def _leaves(table: Mapping[str, Any], where: str) -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        here = f"{where}.{key}".lstrip(".")
        if isinstance(value, Mapping) and "value" not in value:
            yield from _leaves(value, here)
        elif key not in SKIPPED:
            yield here, value
