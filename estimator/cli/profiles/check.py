"""`python -m estimator profiles check FILE`: is it a profile, what is missing, what will be assumed, what contradicts."""

import argparse
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from tabulate import tabulate

from estimator.cli.profiles.figures import interval, shown
from estimator.errors import ProfileError
from estimator.hardware.catalogue import inherited, load_profile, read_toml, with_provenance
from estimator.hardware.consistency import doubts
from estimator.hardware.keys import FORMAT, LINK, Key, keys
from estimator.hardware.schema import Profile


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The file to check."""
    parser.add_argument("file", type=Path, help="path to a TOML file")


def run(arguments: argparse.Namespace) -> int:
    """Print the findings; the exit code says whether the file can be used."""
    text, usable = findings(arguments.file)
    print(text)
    return 0 if usable else 1


def findings(file: Path) -> tuple[str, bool]:
    """What is to be said about a file, and whether it loads; raises `ProfileError` where it cannot even be read."""
    own = with_provenance(read_toml(file), "", "assumed")
    below = inherited(read_toml(file), file.name, file.parent)
    try:
        profile = load_profile(file)
    except ProfileError as error:
        lines = [[key.path, key.unit or key.kind, key.meaning] for key in keys() if _is_missing(key, own, below)]
        missing = f"\nMissing:\n{tabulate(lines, ['key', 'unit', 'meaning'])}" if lines else ""
        return f"{error}{missing}", False
    return "\n\n".join([_summary(file, profile, own), *_parts(profile, own, below)]), True


def _summary(file: Path, profile: Profile, own: Mapping) -> str:
    numbers = profile.quantities()
    here = sum(_at(own, path) is not None for path in numbers)
    statuses = Counter(number.status for number in numbers.values())
    counted = ", ".join(f"{count} {status}" for status, count in sorted(statuses.items()))
    return f"{file} describes {profile.name}: {len(numbers)} numbers, {here} of them stated here, the others inherited; {counted}."


def _parts(profile: Profile, own: Mapping, below: Mapping) -> list[str]:
    numbers = profile.quantities().items()
    rows = [
        [path, shown(path, n, n.unit), interval(path, n), "here" if _at(own, path) is not None else "inherited", n.source]
        for path, n in numbers
        if n.status == "assumed"
    ]
    absent = [[key.path, key.unit, key.meaning] for key in keys() if key.unit and not key.required and _is_absent(key, own, below)]
    parts = {
        "Assumed; the range says how far off it may be": tabulate(rows, ["key", "value", "range", "", "source"], disable_numparse=True),
        "Optional and not stated": tabulate(absent, ["key", "unit", "meaning"]),
        "Worth a second look": "\n".join(f"- {sentence}" for sentence in doubts(profile)),
    }
    return [f"{title}:\n{body}" for title, body in parts.items() if body]


def _at(table: Mapping, path: str) -> object:
    for key in path.split("."):
        if not isinstance(table, Mapping) or key not in table:
            return None
        table = table[key]
    return table


def _is_absent(key: Key, own: Mapping, below: Mapping) -> bool:
    path = key.path.removesuffix(f".{FORMAT}")
    return LINK not in path and _at(own, path) is None and _at(below, path) is None


def _is_missing(key: Key, own: Mapping, below: Mapping) -> bool:
    begun = key.section is None or _at(own, key.section) is not None or _at(below, key.section) is not None
    return key.required and begun and _is_absent(key, own, below)
