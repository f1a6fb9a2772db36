"""`python -m estimator profiles new --like H100 > mine.toml`: a commented template that loads as it stands."""

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import wrap

from estimator.cli.profiles.figures import short_toml, text, toml
from estimator.facts import profiles_dir
from estimator.hardware.catalogue import find_profile, load_profile, read_toml
from estimator.hardware.keys import describe, keys
from estimator.hardware.quantity import Quantity
from estimator.hardware.schema import Profile

WIDTH = 118  # exact: columns of a comment
INTRODUCTION = (
    "A new part, written off {name}. Change what differs; delete what a file in `inherits` says as well. Lines that begin with "
    '"# key =" are inherited: take the # away to state another value, with its source. '
    "`python -m estimator profiles check FILE` says what is missing, what is assumed and what contradicts."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The part to start from."""
    parser.add_argument("--like", required=True, metavar="NAME", help="the nearest part of the catalogue, by name or alias")


def run(arguments: argparse.Namespace) -> int:
    """Print the template."""
    print(template(arguments.like))
    return 0


def template(like: str) -> str:
    """A profile file that repeats what the device `like` states itself and shows, commented out, what it inherits."""
    profile, path = load_profile(like), find_profile(like)
    parents, stated = _flattened(path)
    blocks = [_preamble(profile), _head(profile, parents), *(_block(name, rows) for name, rows in _tables(profile, stated).items())]
    return "\n\n".join(blocks)


def _preamble(profile: Profile) -> str:
    lines = wrap(INTRODUCTION.format(name=profile.name), WIDTH)
    return "\n".join([f"#:schema {profiles_dir() / 'schema.json'}", *(f"# {line}" for line in lines)])


def _head(profile: Profile, parents: list[str]) -> str:
    values = {
        "inherits": f"[{', '.join(map(text, parents))}]  # merged in this order; a later value replaces an earlier one",
        "name": text(f"my {profile.name}"),
        "aliases": "[]",
        "vendor": text(profile.vendor),
        "architecture": text(profile.architecture),
        "year": str(profile.year),
        "kind": text(profile.kind),
        "notes": '""',
        "source": '"where the numbers come from that state no source of their own: title, date, page"',
        "status": '"assumed"  # of numbers that state none: datasheet, measured, derived or assumed',
    }
    meanings = {key.path: key.meaning for key in keys()}
    return "\n".join(f"{key} = {value}" + (f"  # {meanings[key]}" if key in meanings else "") for key, value in values.items())


def _tables(profile: Profile, stated: set[str]) -> dict[str, list[str]]:
    """The lines of each table: what the device states, and as comments what it inherits."""
    tables: dict[str, list[str]] = {}
    for path, number in profile.quantities().items():
        table, _, key = path.rpartition(".")
        if table:
            tables.setdefault(table, []).append(_line(path, key, number, path in stated))
    return tables


def _line(path: str, key: str, number: Quantity, own: bool) -> str:
    return f"{'' if own else '# '}{key} = {toml(number) if own else short_toml(number)}  # {describe(path).meaning}"


def _block(name: str, lines: list[str]) -> str:
    header = f"[{name}]" if any(not line.startswith("#") for line in lines) else f"# [{name}]"
    return "\n".join([header, *lines])


def _flattened(path: Path) -> tuple[list[str], set[str]]:
    """The parents of a device that are no devices themselves, and the numbers that it and its device parents state."""
    table = read_toml(path)
    parents = table.get("inherits", [])
    shared: list[str] = []
    stated = set(_paths(table))
    for parent in [parents] if isinstance(parents, str) else parents:
        beside = path.parent / f"{parent}.toml"
        if beside.is_file() and not _is_part(parent):
            above, more = _flattened(beside)
            shared, stated = [*shared, *above], stated | more
        else:
            shared.append(parent)
    return list(dict.fromkeys(shared)), stated


def _is_part(name: str) -> bool:
    return any((profiles_dir() / part / f"{name}.toml").is_file() for part in ("node", "family", "memory", "link"))


def _paths(table: Mapping, prefix: str = "") -> Iterator[str]:
    for key, value in table.items():
        if isinstance(value, Mapping) and "value" not in value:
            yield from _paths(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"
