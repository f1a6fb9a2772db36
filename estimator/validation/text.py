"""The scores as tables for people."""

from collections import Counter
from collections.abc import Iterable, Sequence

from tabulate import tabulate

from estimator.units import format_si
from estimator.validation.cap_curves import CapScore, cap_scores
from estimator.validation.evaluate import Evaluation
from estimator.validation.report import WORST, coverage, scores, scores_apart, worst
from estimator.validation.score import Result, Score
from estimator.validation.suites import SUITES

FAULTS_SHOWN = 20  # exact: so that a file of nothing but faults does not scroll the scores away
HEAD = ("suite", "group", "metric", "n", "median", "p90", "bias", "in 50 %", "in 90 %")
NAMES = {"time": "time", "energy_given_time": "energy | time", "energy": "energy"}


def as_text(done: Evaluation, by: Sequence[str] | None = None) -> str:
    """Tables of scores, rows apart, worst rows, and what was skipped or could not be read."""
    parts = [_table(scores(done, by))]
    held = coverage(done)
    if held["rows"]:
        shares = f"the 50 % interval holds {held['inside_50']:.0%} and the 90 % interval {held['inside_90']:.0%} of {held['rows']} rows"
        parts.append(f"Energy over all suites: {shares}.")
    capped = cap_scores(done.results)
    if capped:
        parts.append("Energy relative to the highest power cap, of rows that differ in the cap alone:\n" + _caps(capped))
    apart = scores_apart(done)
    if apart:
        parts.append("Reported apart, by reason:\n" + _table(apart))
    bad = [found for suite in SUITES for found in worst(one for one in done.results if one.suite == suite.name)]
    if bad:
        parts.append(f"Worst rows, at most {WORST} of each suite:\n" + _worst(bad))
    published = [one for one in done.results if one.labels.get("inputs")]
    if published:
        parts.append("Published training runs, and what was assumed of them:\n" + _runs(published))
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


def _caps(found: Iterable[CapScore]) -> str:
    lines = [[one.suite, one.hardware, one.curves, one.n, f"{one.median:.1%}", f"{one.p90:.0%}", f"{one.within_step:.0%}"] for one in found]
    return tabulate(lines, ["suite", "hardware", "curves", "n", "median", "p90", "best cap within a step"], disable_numparse=True)


def _runs(results: Iterable[Result]) -> str:
    lines = []
    for one in results:
        errors = [error for metric in ("energy", "time") if (error := one.error(metric)) is not None]
        if one.assumed or one.file.startswith("training_runs"):
            used = "" if one.mfu is None else f"{one.mfu:.2f}"
            lines.append([one.labels.get("model", ""), used, f"{errors[0]:+.0%}" if errors else "", "; ".join(one.assumed) or "nothing"])
    return tabulate(lines, ["model", "step MFU", "error", "assumed"], disable_numparse=True)


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}"


def _worst(found: Iterable[tuple[Result, str, float]]) -> str:
    lines = []
    for result, metric, error in found:
        unit = "s" if metric == "time" else "J"
        predicted, measured = result.values(metric)
        lines.append(
            [
                result.suite,
                result.row_id,
                result.hardware,
                NAMES[metric],
                format_si(measured or 0, unit),
                format_si(predicted or 0, unit),
                f"{error:+.0%}",
            ]
        )
    return tabulate(lines, ["suite", "row", "hardware", "metric", "measured", "predicted", "error"], disable_numparse=True)
