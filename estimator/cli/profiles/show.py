"""`python -m estimator profiles show H100`: a part like a datasheet, each number with its range, status and source."""

import argparse
from collections.abc import Iterator
from functools import partial
from textwrap import fill

from tabulate import tabulate

from estimator.cli.profiles.figures import interval, shown
from estimator.hardware.catalogue import load_profile
from estimator.hardware.events import BITS_PER_BYTE, event_energy
from estimator.hardware.keys import describe
from estimator.hardware.power import idle_power, leakage, voltage_at
from estimator.hardware.schema import Profile
from estimator.units import format_si

WIDTH = 110  # exact: columns of running text
wrapped = partial(fill, width=WIDTH, break_on_hyphens=False, break_long_words=False)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A name, an alias or a file."""
    parser.add_argument("hw", help="a name, an alias or a path to a TOML file")


def run(arguments: argparse.Namespace) -> int:
    """Print the datasheet."""
    print(datasheet(load_profile(arguments.hw)))
    return 0


def datasheet(profile: Profile) -> str:
    """Heading, derived figures, every stated number by section, and the sources that the numbers in brackets refer to."""
    sources: dict[str, int] = {}
    sections = _by_section(profile, sources).values()
    cited = [wrapped(f"[{number}] {source}", subsequent_indent="     ") for source, number in sources.items()]
    return "\n\n".join([_heading(profile), _derived(profile), *sections, "\n".join(["Sources", *cited])])


def _heading(profile: Profile) -> str:
    first = f"{profile.name} ({profile.vendor}, {profile.year})"
    second = f"{profile.architecture}, {profile.process.name}, {profile.kind}"
    names = [f"also called {', '.join(profile.aliases)}"] if profile.aliases else []
    notes = [wrapped(profile.notes)] if profile.notes else []
    return "\n".join([first, "=" * len(first), second, *names, *notes])


def _derived(profile: Profile) -> str:
    rates = tabulate(list(_peaks(profile)), ["unit", "format", "peak", "per byte of memory"], disable_numparse=True)
    return f"Derived from the figures below\n{rates}\n\n{tabulate(list(_figures(profile)), disable_numparse=True, tablefmt='plain')}"


def _peaks(profile: Profile) -> Iterator[list[str]]:
    for unit in ("tensor", "vector"):
        section = getattr(profile, unit)
        for number_format, rate in section.fma_per_clock.items() if section else ():
            peak = 2 * profile.die.multiprocessors * rate * profile.clock.boost
            yield [unit, number_format, format_si(peak, "FLOP/s"), f"{peak / profile.memory.bandwidth:.3g} FLOP/B"]


def _figures(profile: Profile) -> Iterator[list[str]]:
    power, memory, boost = profile.power, profile.memory, float(profile.clock.boost)
    published = f"; published {shown('', power.idle, 'W')}" if power.idle is not None else "; none published"
    idle = idle_power(profile)
    voltage = voltage_at(profile, float(profile.clock.minimum))
    leak = leakage(profile, voltage, profile.thermal.ambient + profile.thermal.resistance * idle)
    top = voltage_at(profile, boost)
    tree = event_energy(profile, top)["clock_cycle"] * boost
    yield ["idle power", f"{format_si(idle, 'W')}{published}"]
    yield ["of it leakage", format_si(leak, "W")]
    yield ["clock tree at highest clock", f"{format_si(tree, 'W')} at {top:.3g} V"]
    yield ["memory at full bandwidth", format_si(memory.bandwidth * BITS_PER_BYTE * memory.energy_per_bit + memory.idle_power, "W")]
    if profile.l2.bandwidth is not None:
        yield ["L2 bandwidth", format_si(profile.l2.bandwidth * boost, "B/s")]
    yield ["registers, whole chip", format_si(profile.register_file.capacity * profile.die.multiprocessors, "B")]
    yield ["shared memory / L1, whole chip", format_si(profile.shared_memory.capacity * profile.die.multiprocessors, "B")]
    if profile.die.area is not None:
        yield ["transistor density", shown("", profile.die.transistors / profile.die.area, "transistor/m2")]


def _by_section(profile: Profile, sources: dict[str, int]) -> dict[str, str]:
    """Each section as text: a table of its numbers, and below it the notes on them."""
    rows: dict[str, list[list[str]]] = {}
    notes: dict[str, list[str]] = {}
    for path, number in profile.quantities().items():
        section, key = path.split(".", 1) if "." in path else ("whole part", path)
        cited = f"[{sources.setdefault(number.source, len(sources) + 1)}]" if number.source else ""
        row = [key, shown(path, number, number.unit), interval(path, number), number.status, cited, describe(path).meaning]
        rows.setdefault(section, []).append(row)
        if number.note:
            notes.setdefault(section, []).append(wrapped(f"{key}: {number.note}", initial_indent="  ", subsequent_indent="    "))
    tables = {name: tabulate(lines, tablefmt="plain", disable_numparse=True) for name, lines in rows.items()}
    return {name: "\n".join([f"[{name}]", table, *notes.get(name, ())]) for name, table in tables.items()}
