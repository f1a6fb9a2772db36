"""`python -m estimator profiles`: the hardware that is described."""

import argparse

from tabulate import tabulate

from estimator.hardware.catalogue import list_profiles, load_profile
from estimator.units import format_si


def run(given: list[str]) -> int:
    """List the catalogue."""
    argparse.ArgumentParser(prog="python -m estimator profiles", description="List the hardware profiles.").parse_args(given)
    rows = []
    for name in list_profiles():
        part = load_profile(name)
        memory = f"{format_si(part.memory.capacity, 'B')} {part.memory.kind} {format_si(part.memory.bandwidth, 'B/s')}"
        rows.append([name, part.name, part.process.name, format_si(part.power.limit, "W"), memory, ", ".join(part.aliases[:3])])
    print(tabulate(rows, ["name", "part", "process", "limit", "memory", "aliases"]))
    return 0
