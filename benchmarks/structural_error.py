"""The model's own error, estimated from measured rows: writes `hardware_profiles/physics/structural_error.toml`.

    python -m benchmarks.structural_error --data DIR [--limit N] [--write]

Every scored row that can be predicted is predicted with the sourced ranges alone; what these do not explain is the structural
error, fitted for each kind of run (`estimator.run.uncertainty_residuals`) and judged on groups, hardware × task, that the fit
did not see. Prints the coverage so found; with --write the file is replaced.
"""

import argparse
from collections import defaultdict
from pathlib import Path

from estimator.errors import EstimatorError
from estimator.facts import load_facts, profiles_dir
from estimator.quantity import Quantity
from estimator.run.uncertainty import FIGURES, Uncertainty
from estimator.run.uncertainty_propagation import propagate, propagate_idle
from estimator.run.uncertainty_residuals import Residual, fit, held_out, ranks
from estimator.validation.evaluate import predict, result, sample
from estimator.validation.hardware import profile_of
from estimator.validation.prediction import Prediction, Steady
from estimator.validation.reading import read_folder
from estimator.validation.rows import Row

METRIC = {"energy": "energy", "time": "time", "power": "energy_given_time"}
KIND = {"kernels": "kernel", "microbench": "kernel", "serving": "serving", "inference": "inference", "training": "training"}
NOTHING = {figure: Quantity(1.0) for figure in FIGURES}
SAMPLES = 512  # exact: enough for quantiles of single rows
HEAD = """# What the model itself gets wrong, beyond the ranges of its numbers: a factor on each figure, by kind of run, whose range
# holds nine truths in ten. Written by `python -m benchmarks.structural_error --data DIR --write`, which says how.
status = "derived"

[between_laboratories]
spread = {{ value = {value:g}, low = {low:g}, high = {high:g}, source = "{source}" }}
"""


def collect(rows: list[Row]) -> dict[tuple[str, str], list[Residual]]:
    """Residuals of all rows that can be predicted, by kind of run and figure."""
    found: dict[tuple[str, str], list[Residual]] = defaultdict(list)
    known: dict[tuple[int, ...], tuple[object, Uncertainty]] = {}
    for row in rows:
        try:
            prediction = predict(row)
            judged = result(row, prediction)
            if not judged.scored:
                continue
            key = tuple(map(id, prediction.phases)) if isinstance(prediction, Prediction) else (id(profile_of(row)),)
            if key not in known:
                known[key] = (prediction, _ranges_alone(prediction, row))  # kept, so that ids stay their own
        except EstimatorError:
            continue
        kind = "idle" if isinstance(prediction, Steady) else KIND[judged.suite]
        for figure, metric in METRIC.items():
            error = judged.error(metric)
            if error is not None and error > -1:
                task = judged.labels.get("task") or judged.labels.get("network") or judged.labels["source"]
                found[kind, figure].append(Residual(1 / (1 + error), known[key][1].quantiles[figure], f"{judged.hardware} {task}"))
    return found


def _ranges_alone(prediction: Prediction | Steady, row: Row) -> Uncertainty:
    if isinstance(prediction, Steady):
        return propagate_idle(profile_of(row), NOTHING, SAMPLES)
    return propagate(prediction.phases, NOTHING, SAMPLES)


def table(kind: str, found: dict[tuple[str, str], list[Residual]], least: float) -> str:
    """The TOML table of one kind, its notes saying on what it stands."""
    lines = [f"\n[{kind}]"]
    for figure in FIGURES:
        residuals = found.get((kind, figure), [])
        low, high = fit(residuals)
        low, high = min(low, 1 / least), max(high, least)
        lines.append(f'{figure} = {{ value = 1, low = {low:.3g}, high = {high:.3g}, source = "{_note(residuals, low, high)}" }}')
    return "\n".join(lines) + "\n"


def _note(residuals: list[Residual], low: float, high: float) -> str:
    if not residuals:
        return "no row measured: the spread between laboratories"
    inside, unseen = ranks(residuals, low, high), held_out(residuals)
    shares = " and ".join(f"{(inside <= level).mean():.0%} ({(unseen <= level).mean():.0%})" for level in (0.5, 0.9))  # exact: two levels
    groups = len({one.group for one in residuals})
    return f"residuals of {len(residuals)} rows in {groups} groups; 50 and 90 % intervals then hold {shares} of them (left-out groups)"


def main() -> None:
    """Fit, print, and write if asked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.structural_error")
    parser.add_argument("--data", type=Path, required=True, help="folder of tidy CSV files, as for `python -m estimator validate`")
    parser.add_argument("--limit", type=int, help="at most so many rows of each suite, evenly spaced")
    parser.add_argument("--write", action="store_true", help="replace structural_error.toml")
    options = parser.parse_args()
    rows, _ = read_folder(options.data)
    found = collect(sample(rows, options.limit))
    floor = load_facts("physics/structural_error")["between_laboratories"]["spread"]
    text = HEAD.format(value=floor, low=floor.low, high=floor.high, source=floor.source)
    text += "".join(table(kind, found, float(floor)) for kind in ("kernel", "serving", "inference", "training", "idle"))
    print(text)
    if options.write:
        (profiles_dir() / "physics" / "structural_error.toml").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
