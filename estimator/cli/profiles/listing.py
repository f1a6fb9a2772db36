"""`python -m estimator profiles`: every part of the catalogue, by vendor and year."""

import argparse
from itertools import groupby

from tabulate import tabulate

from estimator.hardware.catalogue import list_profiles, load_profile, plugin_profiles
from estimator.hardware.schema import Profile
from estimator.units import format_si

COLUMNS = ["name", "part", "year", "process", "limit", "memory", "aliases"]


def run(_arguments: argparse.Namespace) -> int:
    """Print one table for each vendor, and those of other packages with them."""
    parts = {name: load_profile(name) for name in [*list_profiles(), *plugin_profiles()]}
    order = sorted(parts.items(), key=lambda part: (part[1].vendor, part[1].year, part[0]))
    for vendor, group in groupby(order, key=lambda part: part[1].vendor):
        print(f"{vendor}\n{tabulate([_row(name, part) for name, part in group], COLUMNS)}\n")
    print(f"{len(parts)} parts. `python -m estimator profiles show NAME` prints one with its sources.")
    return 0


def _row(name: str, part: Profile) -> list:
    memory = f"{format_si(part.memory.capacity, 'B')} {part.memory.kind} {format_si(part.memory.bandwidth, 'B/s')}"
    return [name, part.name, part.year, part.process.name, format_si(part.power.limit, "W"), memory, ", ".join(part.aliases[:2])]
