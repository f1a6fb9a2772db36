"""The scores as plain data; `estimator.validation.text` prints them.

JSON (errors as fractions, energies and times in SI units per the row's own unit, null for what is not known):
`suites`: one entry per suite, group and metric ("time", "energy_given_time", "energy") over the scored rows, with n, median, p90,
bias, inside_50, inside_90; the group "all" holds the whole suite. `apart`: the same over rows that are not scored, the group being the
reason, with whether the inputs of published runs were published. `coverage`: over all scored rows with an interval of their energy, how
many they are and the shares inside.
`caps`: rows that differ in their power limit alone, see `estimator.validation.cap_curves`.
`rows`: every predicted row, of published training runs with `assumed` inputs and `mfu`. `skipped`: sound rows without a prediction and
why. `faults`: what could not be read.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from estimator.validation.cap_curves import cap_scores
from estimator.validation.evaluate import Evaluation
from estimator.validation.score import LEVELS, Result, Score, grouped, score
from estimator.validation.suites import SUITES

ALL, WORST = "all", 10
TAIL = 90  # exact: the wider of the intervals reported, in percent


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
            members = [result for result in mine if result.why_not == reason]
            found += score(suite.name, reason, members)
            for name, part in grouped(members, ("inputs",)).items() if any(one.labels.get("inputs") for one in members) else ():
                found += score(suite.name, f"{reason} · {name}", part)
    return found


def coverage(done: Evaluation) -> dict[str, Any]:
    """Over all scored rows with an interval of their energy: how many they are, and the shares inside. None without any."""
    inside = {level: [held for one in done.results if one.scored and (held := one.inside("energy", level)) is not None] for level in LEVELS}
    shares = {f"inside_{level}": sum(held) / len(held) if held else None for level, held in inside.items()}
    return {"rows": len(inside[TAIL])} | shares


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
        "coverage": coverage(done),
        "caps": [asdict(one) for one in cap_scores(done.results)],
        "rows": [_row(result) for result in done.results],
        "skipped": [asdict(one) for one in done.skipped],
        "faults": [asdict(fault) | {"text": str(fault)} for fault in done.faults],
    }


def _row(result: Result) -> dict[str, Any]:
    facts = {name: getattr(result, name) for name in result.__dataclass_fields__ if name not in ("labels", "factors")}
    low, high = result.bounds("energy", TAIL) or (None, None)
    return facts | {"scored": result.scored, "why_not": result.why_not or None, "low_90": low, "high_90": high}
