"""The model's own error, estimated from measured rows: writes `hardware_profiles/physics/structural_error.toml`.

    python -m benchmarks.structural_error --data DIR [--limit N] [--write]

At most N scored rows of each kind of run that can be predicted, evenly spaced over the data, are predicted with the sourced ranges
alone; what these do not explain is the structural error, fitted by `estimator.run.uncertainty_residuals` and judged on groups,
hardware × task, that the fit did not see. Prints the coverage so found; with --write the file is replaced. Run it after any change
of the physics or of a number: a few minutes for the default of 300 rows.
"""

import argparse
from collections import defaultdict
from pathlib import Path

from estimator.errors import EstimatorError
from estimator.facts import load_facts, profiles_dir
from estimator.run.uncertainty import FIGURES, Factor
from estimator.run.uncertainty_residuals import Residual, Table, fit_unseen, held_out
from estimator.validation.evaluate import predict, result
from estimator.validation.intervals import FIGURE, NOTHING, spread
from estimator.validation.published import published_rows
from estimator.validation.reading import read_folder
from estimator.validation.rows import Row
from estimator.validation.sampling import evenly
from estimator.validation.suites import SUITES, structural_kind, suite_of

METRIC = {figure: metric for metric, figure in FIGURE.items()}
KINDS = (*dict.fromkeys(suite.structural for suite in SUITES), "idle")
LIMIT = 300
HEAD = """# What the model itself gets wrong, beyond the ranges of its numbers: a factor on each figure, by kind of run, whose range
# holds nine truths in ten; `_tail` is the exponent that shapes it and `_ranges` the part of the sourced ranges' width that counts
# (estimator/run/uncertainty.py). Written by `python -m benchmarks.structural_error --data DIR --write`, which says how.
status = "derived"

[between_laboratories]
spread = {{ value = {value:g}, low = {low:g}, high = {high:g}, source = "{source}" }}
"""
FEW = 10  # exact: rows below which one in ten outside cannot show
Found = dict[tuple[str, str], list[Residual]]


def collect(rows: list[Row], limit: int | None) -> Found:
    """Residuals of at most `limit` rows of each kind of run, by kind and figure."""
    found: Found = defaultdict(list)
    suites: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        suites[suite_of(row)].append(row)
    for part in suites.values():
        taken: dict[str, int] = defaultdict(int)
        for row in evenly(part):
            kind = _add(row, found, taken, limit)
            if kind:
                taken[kind] += 1
            if limit and taken and min(taken.values()) >= limit:
                break
    return found


def _add(row: Row, found: Found, taken: dict[str, int], limit: int | None) -> str:
    """Adds the residuals of a row; its kind of run, or nothing if it does not count."""
    try:
        prediction = predict(row)
        kind, judged = structural_kind(row, prediction), result(row, prediction)
        if not judged.scored or (limit and taken[kind] >= limit):
            return ""
        ranges = spread(row, prediction, NOTHING)
    except EstimatorError:
        return ""
    task = judged.labels.get("task") or judged.labels.get("network") or judged.labels["source"]
    for figure, metric in METRIC.items():
        error = judged.error(metric if kind != "idle" else "energy")  # power at rest is an energy per second and takes no time
        if error is not None and error > -1:
            found[kind, figure].append(Residual(1 / (1 + error), ranges.quantiles[figure], f"{judged.hardware} {task}"))
    return kind


def tables(found: Found, least: float) -> str:
    """The TOML tables of all kinds, the notes saying on what each number stands."""
    fitted = {key: fit_unseen(Table(residuals), least) for key, residuals in found.items() if len(residuals) >= FEW}
    text = ""
    for kind in KINDS:
        text += f"\n[{kind}]\n"
        for figure in FIGURES:
            text += _lines(figure, fitted.get((kind, figure)) or _widest(fitted, figure, least), found.get((kind, figure), []), least)
    return text


def _widest(fitted: dict[tuple[str, str], Factor], figure: str, least: float) -> Factor:
    """For what too few rows tell of: the lowest low end and the highest high end of the other kinds."""
    others = [factor for (_, of), factor in fitted.items() if of == figure]
    return Factor(min([one.low for one in others], default=1 / least), max([one.high for one in others], default=least))


def _lines(figure: str, factor: Factor, residuals: list[Residual], least: float) -> str:
    note = _note(residuals, factor, least)
    return (
        f'{figure} = {{ value = 1, low = {factor.low:.3g}, high = {factor.high:.3g}, source = "{note}" }}\n'
        f'{figure}_tail = {{ value = {factor.tail:.3g}, source = "half of these rows inside the 50 % interval" }}\n'
        f'{figure}_ranges = {{ value = {factor.ranges:.3g}, source = "no more of these rows inside than an interval says" }}\n'
    )


def _note(residuals: list[Residual], factor: Factor, least: float) -> str:
    if len(residuals) < FEW:
        return f"{len(residuals) or 'no'} rows, too few to tell: the widest of the other kinds"
    rows = Table(residuals)
    inside, unseen = rows.ranks(factor), held_out(rows, factor, least)
    shares = " and ".join(f"{(inside <= level).mean():.0%} ({(unseen <= level).mean():.0%})" for level in (0.5, 0.9))
    groups = len(set(rows.groups))
    return f"residuals of {len(residuals)} rows in {groups} groups; 50 and 90 % intervals then hold {shares} of them (left-out groups)"


def main() -> None:
    """Fit, print, and write if asked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.structural_error")
    parser.add_argument("--data", type=Path, required=True, help="folder of tidy CSV files, as for `python -m estimator validate`")
    parser.add_argument("--limit", type=int, default=LIMIT, help=f"at most so many rows of each kind of run (default: {LIMIT}; 0: all)")
    parser.add_argument("--write", action="store_true", help="replace structural_error.toml")
    options = parser.parse_args()
    rows, _ = read_folder(options.data)
    found = collect(rows + published_rows(), options.limit)
    floor = load_facts("physics/structural_error")["between_laboratories"]["spread"]
    text = HEAD.format(value=floor, low=floor.low, high=floor.high, source=floor.source) + tables(found, float(floor))
    print(text)
    if options.write:
        (profiles_dir() / "physics" / "structural_error.toml").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
