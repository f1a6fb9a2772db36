"""The README's table of accuracy in Markdown, with the command that repeats it and how far each figure reaches."""

import tomllib
from collections.abc import Sequence
from datetime import date
from functools import cache
from pathlib import Path

from estimator.validation.evaluate import Evaluation
from estimator.validation.report import coverage
from estimator.validation.score import LEVELS, METRICS, Result, Score, score
from estimator.validation.suites import SUITES

HEAD = ("rows predicted", "n", "time", "energy, time given", "energy", "inside 50 / 90 %", "limits")


@cache
def accuracy() -> dict[str, dict[str, str]]:
    """What each suite holds and how far its figures reach: accuracy.toml."""
    return tomllib.loads(Path(__file__).with_name("accuracy.toml").read_text(encoding="utf-8"))


def as_markdown(done: Evaluation, command: str, day: date) -> str:
    """A table with one line for each suite; kernels at and below 90 % of the power cap apart, as the cap decides what is hard."""
    lines = [_line(text, results, limits) for text, results, limits in _parts(done.results)]
    table = "\n".join(["| " + " | ".join(HEAD) + " |", "|---" * len(HEAD) + "|", *lines])
    counted = sum(one.scored for one in done.results)
    return (
        f"Median |error| (90th percentile) against published measurements, on {day.isoformat()}, by `{command}`:\n\n{table}\n\n"
        f"{counted} rows are scored, {len(done.results) - counted} reported apart (stalled, host-bound, of low trust), "
        f"{len(done.skipped)} not predicted.{_held(done)}"
    )


def _held(done: Evaluation) -> str:
    total = coverage(done)
    if not total["rows"]:
        return ""
    narrow, wide = (f"{total[f'inside_{level}']:.0%}" for level in LEVELS)
    return f" Over all suites the 50 % interval holds {narrow} and the 90 % interval {wide} of the rows."


def _parts(results: Sequence[Result]) -> list[tuple[str, list[Result], str]]:
    parts = []
    for suite in SUITES:
        mine = [result for result in results if result.suite == suite.name and result.scored]
        text, limits = (accuracy()[suite.name][key] for key in ("what", "limits"))
        caps = sorted({result.labels["cap"] for result in mine} - {""}) if suite.name == "kernels" else []
        if caps:
            parts += [(f"{text}; {cap}", [result for result in mine if result.labels["cap"] == cap], limits) for cap in caps]
        elif mine:
            parts.append((text, mine, limits))
    return parts


def _line(text: str, results: list[Result], limits: str) -> str:
    found = {one.metric: one for one in score("", "", results)}
    best = found.get("energy") or found.get("energy_given_time")
    inside = [getattr(best, f"inside_{level}", None) for level in LEVELS]
    held = " / ".join("–" if share is None else f"{share:.0%}".removesuffix("%") for share in inside)
    return "| " + " | ".join([text, str(len(results)), *(_shown(found.get(metric)) for metric in METRICS), held, limits]) + " |"


def _shown(one: Score | None) -> str:
    return "–" if one is None else f"{one.median:.0%} ({one.p90:.0%})".replace("%", " %")
