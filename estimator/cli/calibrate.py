"""`python -m estimator calibrate --data DIR`: fit the few physical constants that measured rows can tell of."""

import argparse
import json
from datetime import date
from pathlib import Path

from estimator.cli.output import check_output
from estimator.errors import InvalidSetting, UnknownName, unknown_name
from estimator.facts import profiles_dir
from estimator.hardware.catalogue import find_profile
from estimator.validation.calibration import calibrate
from estimator.validation.calibration.own_profile import calibrate_like, profile_text
from estimator.validation.calibration.report import as_json, as_text
from estimator.validation.calibration.writing import write
from estimator.validation.reading import Fault, read_csv, read_data, select
from estimator.validation.rows import Row
from estimator.validation.suites import NAMES, suite_of

LIMIT = 200  # exact: rows of each suite unless told otherwise: some minutes on two cores


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m estimator calibrate",
        description="Fit the constants of chip families, memories and software stacks to measured rows, within their sourced ranges.",
        epilog="Which constants may move is listed in hardware_profiles/physics/calibration.toml. Nothing is written without --write.",
    )
    add = parser.add_argument
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", type=Path, metavar="PATH", help="measured rows, as for `python -m estimator validate`")
    source.add_argument("--from", type=Path, metavar="FILE.csv", dest="file", help="measured rows of one card, with --like")
    add("--like", metavar="HW", help="print a profile of the card that was measured, which is like this part of the catalogue")
    add("--hw", nargs="+", default=(), metavar="FAMILY", help="only rows of these families, memories or devices")
    add("--suites", nargs="+", default=(), metavar="SUITE", help=f"only rows of these: {', '.join(NAMES)}, or names of files without .csv")
    add("--limit", type=int, default=LIMIT, metavar="N", help=f"at most N rows of each suite, evenly spaced (default {LIMIT}; 0: all)")
    add("--json", type=Path, metavar="FILE", help="write everything as JSON (see estimator.validation.calibration.report)")
    add("--write", action="store_true", help="put the fitted values into hardware_profiles/, with date and data in the note")
    return parser


def run(given: list[str]) -> int:
    """Print what moved; 1 if anything could not be read."""
    options = _parser().parse_args(given)
    if options.limit < 0:
        raise InvalidSetting(f"--limit {options.limit}: expected at least 1, or 0 for all rows")
    check_output("--json", options.json)
    if bool(options.file) != bool(options.like):
        raise InvalidSetting("--from FILE.csv and --like HW belong together: the file is taken for one card that is like HW")
    rows, faults = read_data(options.data) if options.data else _read(options.file)
    rows, limit = list(select(rows, _suites(options.suites, rows), suite_of)), options.limit or None
    found = (
        calibrate_like(rows, options.like, limit) if options.like else calibrate(rows, [_stem(name) for name in options.hw], limit=limit)
    )
    print("\n".join(f"# {line}".rstrip() for line in as_text(found).splitlines()) if options.like else as_text(found))
    if options.like:
        print("\n" + profile_text(found, options.like, date.today()))
    if options.json:
        options.json.write_text(json.dumps(as_json(found), indent=1) + "\n", encoding="utf-8")
    if options.write:
        print("\n" + "\n".join(f"Wrote {path}" for path in write(found, date.today())))
    for fault in faults:
        print(f"Could not be read: {fault}")
    return 1 if faults else 0


def _read(path: Path) -> tuple[list[Row], list[Fault]]:
    if not path.is_file():
        raise InvalidSetting(f"--from {str(path)!r}: no such file; give a tidy CSV file, as `python -m estimator measure` writes it")
    return read_csv(path)


def _suites(names: list[str], rows: list[Row]) -> list[str]:
    known = {*NAMES, *(Path(row.file).stem for row in rows)}
    for name in names:
        if name not in known:
            raise unknown_name("suite", name, known, "A suite, or a file of the folder without .csv.")
    return names


def _stem(name: str) -> str:
    """A family's or memory's file, or a device's by name or alias."""
    stems = {path.stem for folder in ("family", "memory", "node") for path in (profiles_dir() / folder).glob("*.toml")}
    if name.lower() in stems:
        return name.lower()
    try:
        return find_profile(name).stem
    except UnknownName:
        known = stems | {path.stem for path in (profiles_dir() / "device").glob("*.toml")}
        raise unknown_name("family, memory or device", name, known, "`ls hardware_profiles/family` lists families.") from None
