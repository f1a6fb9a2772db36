"""The scores as a table for people and as JSON for programs.

JSON (errors as fractions, energies and times in SI units per the row's own unit, null for what is not known):
`suites`: one entry per suite, group and metric ("time", "energy_given_time", "energy") over the scored rows, with n, median, p90,
bias, inside_50, inside_90; the group "all" holds the whole suite. `apart`: the same over rows that are not scored, the group
being the reason. `rows`: every predicted row. `skipped`: sound rows without a prediction and why. `faults`: what could not be read.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from tabulate import tabulate

from estimator.units import format_si
from estimator.validation.evaluate import Evaluation
from estimator.validation.score import Result, Score, grouped, score
from estimator.validation.suites import SUITES

ALL, WORST = "all", 10
TAIL = 90  # exact: the wider of the intervals reported, in percent
FAULTS_SHOWN = 20  # exact: so that a file of nothing but faults does not scroll the scores away
HEAD = ("suite", "group", "metric", "n", "median", "p90", "bias", "in 50 %", "in 90 %")
NAMES = {"time": "time", "energy_given_time": "energy | time", "energy": "energy"}


def scores(done: Evaluation, by: Sequence[str] | None = None) -> list[Score]:
    """Scores of all suites, each as a whole and by group, over the rows that count."""
    found = []
    for suite in SUITES:
        mine = [result for result in done.results if result.suite == suite.name and result.scored]
        found += score(suite.name, ALL, mine)
        for name, members in grouped(mine, by or suite.by).items():
            found += score(suite.name, name, members)
    return found


def scores_apart(done: Evaluation) -> list[Score]:
    """Scores of the rows that do not count, by the reason."""
    found = []
    for suite in SUITES:
        mine = [result for result in done.results if result.suite == suite.name and not result.scored]
        for reason in sorted({result.why_not for result in mine}):
            found += score(suite.name, reason, [result for result in mine if result.why_not == reason])
    return found


def worst(results: Iterable[Result], count: int = WORST) -> list[tuple[Result, str, float]]:
    """The rows with the largest |error|, with the metric: end-to-end energy where it was measured, else the time."""
    errors = []
    for result in results:
        metric = "energy" if result.error("energy") is not None else "energy_given_time" if result.measured_energy else "time"
        error = result.error(metric)
        if error is not None and result.scored:
            errors.append((result, metric, error))
    return sorted(errors, key=lambda item: -abs(item[2]))[:count]


def as_json(done: Evaluation, by: Sequence[str] | None = None) -> dict[str, Any]:
    """The whole evaluation as plain data, as this module's docstring says."""
    return {
        "suites": [asdict(one) for one in scores(done, by)],
        "apart": [asdict(one) for one in scores_apart(done)],
        "rows": [_row(result) for result in done.results],
        "skipped": [asdict(one) for one in done.skipped],
        "faults": [asdict(fault) | {"text": str(fault)} for fault in done.faults],
    }


def _row(result: Result) -> dict[str, Any]:
    facts = {name: getattr(result, name) for name in result.__dataclass_fields__ if name not in ("labels", "factors")}
    low, high = result.bounds("energy", TAIL) or (None, None)
    return facts | {"scored": result.scored, "why_not": result.why_not or None, "low_90": low, "high_90": high}


def as_text(done: Evaluation, by: Sequence[str] | None = None) -> str:
    """Tables of scores, rows apart, worst rows, and what was skipped or could not be read."""
    parts = [_table(scores(done, by))]
    apart = scores_apart(done)
    if apart:
        parts.append("Reported apart, by reason:\n" + _table(apart))
    if done.results:
        parts.append("Worst rows:\n" + _worst(done.results))
    if done.skipped:
        counts = Counter((one.suite, one.why) for one in done.skipped).most_common()
        listed = tabulate([[suite, n, why] for (suite, why), n in counts], ["suite", "rows", "why"])
        parts.append(f"Skipped, {len(done.skipped)} rows:\n{listed}")
    if done.faults:
        rows = sum(fault.rows for fault in done.faults)
        more = f"\n… and {len(done.faults) - FAULTS_SHOWN} more" if len(done.faults) > FAULTS_SHOWN else ""
        listed = "\n".join(str(fault) for fault in done.faults[:FAULTS_SHOWN])
        parts.append(f"Could not be read, {rows} rows:\n{listed}{more}")
    return "\n\n".join(parts)


def _table(found: Iterable[Score]) -> str:
    lines = [
        [
            one.suite,
            one.group,
            NAMES[one.metric],
            one.n,
            f"{one.median:.1%}",
            f"{one.p90:.0%}",
            f"{one.bias:+.1%}",
            _share(one.inside_50),
            _share(one.inside_90),
        ]
        for one in found
    ]
    return tabulate(lines, HEAD, disable_numparse=True)


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}"


def _worst(results: Iterable[Result]) -> str:
    lines = []
    for result, metric, error in worst(results):
        unit = "s" if metric == "time" else "J"
        predicted, measured = result.values(metric)
        lines.append(
            [
                result.row_id,
                result.hardware,
                NAMES[metric],
                format_si(measured or 0, unit),
                format_si(predicted or 0, unit),
                f"{error:+.0%}",
            ]
        )
    return tabulate(lines, ["row", "hardware", "metric", "measured", "predicted", "error"], disable_numparse=True)
