"""`python -m estimator validate [SUITE …]`: predicted against measured, row by row, from the workload descriptions alone."""

import argparse
import json
from datetime import date
from pathlib import Path

from estimator.cli.output import check_output
from estimator.errors import InvalidSetting, unknown_name
from estimator.validation.calibration.leave_out import GROUPS, check_group, leave_out
from estimator.validation.calibration.leave_out import as_json as leave_out_json
from estimator.validation.calibration.leave_out import as_text as leave_out_text
from estimator.validation.evaluate import LABELS, evaluate
from estimator.validation.plot import scatter
from estimator.validation.published import published_rows
from estimator.validation.reading import read_data, select
from estimator.validation.readme import as_markdown
from estimator.validation.report import as_json
from estimator.validation.rows import Row
from estimator.validation.sampling import sample
from estimator.validation.suites import NAMES, suite_of
from estimator.validation.text import as_text

LEFT_OUT = 100  # exact: rows of each suite that --leave-out refits unless told otherwise
GROUPINGS = ("hardware", "model", "cap", "file", *LABELS)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m estimator validate",
        description="Predict measured rows from their workload descriptions and print how far off the predictions are.",
        epilog="Exit code 1: some rows could not be read; they are listed with file, row and column, and the rest is scored.",
    )
    add = parser.add_argument
    add("suites", nargs="*", metavar="SUITE", help=f"{', '.join(NAMES)}, or the name of a file without .csv (default: all)")
    add(
        "--data",
        type=Path,
        metavar="PATH",
        help="a tidy CSV file or a folder of them, an ML.ENERGY leaderboard or a Zeus trace (default: published figures)",
    )
    add("--by", help=f"group by these, joined by commas: {', '.join(GROUPINGS)}")
    add("--limit", type=int, metavar="N", help="at most N rows of each suite, evenly spaced")
    add("--leave-out", metavar="GROUP", help=f"also refit the constants without each {' or '.join(GROUPS)} in turn, and predict it")
    add("--no-intervals", action="store_true", help="leave out the shares inside the 50 and 90 %% intervals: three times as fast")
    add("--json", type=Path, metavar="FILE", help="write everything as JSON (see estimator.validation.report)")
    add("--readme", action="store_true", help="print the README's table of accuracy in Markdown instead of the scores")
    add("--plot", type=Path, metavar="FILE.svg", help="write predicted against measured as a picture")
    return parser


def run(given: list[str]) -> int:
    """Print the scores; 1 if anything could not be read."""
    options = _parser().parse_args(given)
    if options.limit is not None and options.limit < 1:
        raise InvalidSetting(f"--limit {options.limit}: expected at least 1")
    by = _groups(options.by)
    check_group(options.leave_out)
    check_output("--json", options.json)
    check_output("--plot", options.plot)
    rows, faults = read_data(options.data) if options.data else (published_rows(), [])
    chosen = _chosen(rows, options.suites)
    taken = sample(chosen, options.limit)
    done = evaluate(taken, intervals=not options.no_intervals)
    done.faults[:0] = faults
    data = as_json(done, by)
    if options.readme:
        print(as_markdown(done, _command(options), date.today()))
    else:
        if len(taken) < len(chosen):
            print(f"{len(taken)} of {len(chosen)} rows, evenly spaced: at most {options.limit} of each suite\n")
        print(as_text(done, by))
    if options.leave_out:
        compared = leave_out(chosen, options.leave_out, options.limit or LEFT_OUT)
        print(f"\n{leave_out_text(compared, options.leave_out)}\nOn at most {options.limit or LEFT_OUT} rows of each suite.")
        data["left_out"] = leave_out_json(compared)
    if options.json:
        options.json.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    if options.plot:
        options.plot.write_text(scatter(done.results), encoding="utf-8")
    return 1 if done.faults else 0


def _command(options: argparse.Namespace) -> str:
    """The command that repeats a table; where the data lie is the reader's affair."""
    limit = [f"--limit {options.limit}"] if options.limit else []
    return " ".join(["python -m estimator validate", *options.suites, *(["--data DIR"] if options.data else []), *limit, "--readme"])


def _groups(text: str | None) -> tuple[str, ...] | None:
    names = tuple(filter(None, (text or "").split(",")))
    for name in names:
        if name not in GROUPINGS:
            raise unknown_name("grouping", name, GROUPINGS, "Give one of them, or several joined by commas.")
    return names or None


def _chosen(rows: list[Row], names: list[str]) -> list[Row]:
    known = {*NAMES, *(Path(row.file).stem for row in rows)}
    for name in names:
        if name not in known:
            raise unknown_name("suite", name, known, "A suite, or a file of the folder without .csv.")
    return list(select(rows, names, suite_of))
