"""What a calibration found, as text and as plain data: what moved, what the data cannot tell, and errors before and after.

JSON: `constants`: home, path, unit, prior, low, high (SI), before, value, moved and spread (both in standard deviations of the prior),
what; `alike`: pairs that only their combination is known of; `suites`: suite, metric, n, and median, p90, bias before and after;
`files`: rows used by file.
"""

from collections import Counter
from collections.abc import Iterator
from statistics import median
from typing import Any

import numpy as np
from tabulate import tabulate

from estimator.units import format_si
from estimator.validation.calibration.constants import free
from estimator.validation.calibration.fitting import Calibration, Fitted
from estimator.validation.calibration.problem import values_of
from estimator.validation.score import METRICS, TAIL, quantile

MOVED = 0.1  # exact: standard deviations of the prior that count as a move
UNKNOWN = 0.9  # exact: share of the prior's spread from which the data have said next to nothing
ALIKE = 0.8  # exact: correlation beyond which two constants are known only together


def as_json(found: Calibration) -> dict[str, Any]:
    """The whole calibration as plain data, as this module's docstring says."""
    return {
        "constants": [_constant(one) for one in found.fitted],
        "alike": [{"constants": [first, second], "correlation": value} for first, second, value in alike(found)],
        "suites": list(residuals(found)),
        "files": files(found),
    }


def _constant(one: Fitted) -> dict[str, Any]:
    constant, prior = one.constant, one.constant.prior
    return {
        "home": f"{constant.home.parent.name}/{constant.home.name}", "path": constant.path, "unit": prior.unit, "prior": float(prior),
        "low": prior.low, "high": prior.high, "before": constant.current, "value": one.value, "moved": one.moved, "spread": one.spread,
        "what": free()[constant.owner][constant.path],
    }  # fmt: skip


def files(found: Calibration) -> dict[str, int]:
    """Rows used by file."""
    return dict(sorted(Counter(one.observation.file for one in found.observed).items()))


def alike(found: Calibration) -> Iterator[tuple[str, str, float]]:
    """Pairs of constants whose errors the data leave strongly correlated."""
    names = [one.constant.name for one in found.fitted]
    for row, column in zip(*np.nonzero(np.triu(np.abs(found.correlation) > ALIKE, 1))):
        yield names[row], names[column], float(found.correlation[row, column])


def residuals(found: Calibration) -> Iterator[dict[str, Any]]:
    """Errors of each suite and metric with the values of the files, and with the fitted ones."""
    values = found.values()
    errors: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for one in found.observed:
        before, after = one.observation.errors({}), one.observation.errors(values_of(one, values))
        for metric in before:
            errors.setdefault((one.observation.suite, metric), []).append((float(before[metric][0]), float(after[metric][0])))
    for (suite, metric), pairs in sorted(errors.items(), key=lambda item: (item[0][0], METRICS.index(item[0][1]))):
        before_after = (summary([float(np.expm1(error)) for error in column]) for column in zip(*pairs))
        yield {"suite": suite, "metric": metric, "n": len(pairs)} | dict(zip(("before", "after"), before_after))


def summary(errors: list[float]) -> dict[str, float]:
    """Median and 90th percentile of the magnitude, and the median of signed relative errors."""
    sizes = [abs(error) for error in errors]
    return {"median": median(sizes), "p90": quantile(sizes, TAIL), "bias": median(errors)}


def as_text(found: Calibration) -> str:
    """Tables of what moved, what cannot be told, and errors before and after."""
    moved = sorted((one for one in found.fitted if abs(one.moved) >= MOVED), key=lambda one: -abs(one.moved))
    still = [one.constant.name for one in found.fitted if abs(one.moved) < MOVED and one.spread < UNKNOWN]
    parts = [
        f"{len(found.observed)} rows: {', '.join(f'{count} of {file}' for file, count in files(found).items())}",
        "What moved, in standard deviations of its prior, and the share of the prior's spread that is left:\n" + _moves(moved),
    ]
    if still:
        parts.append("What the data confirm: " + ", ".join(still) + ".")
    parts.append(_unknown(found))
    together = [f"{first} with {second} ({value:+.2f})" for first, second, value in alike(found)]
    if together:
        parts.append("What the data know only together (correlation): " + "; ".join(together) + ".")
    return "\n\n".join([*parts, "Errors before and after:\n" + _errors(found)])


def _moves(moved: list[Fitted]) -> str:
    lines = []
    for one in moved:
        unit, prior = one.constant.prior.unit, one.constant.prior
        shown = [
            format_si(value, unit) if "/clock" not in unit and unit != "1" else f"{value:.3g}"
            for value in (one.constant.current, one.value, prior.low, prior.high)
        ]
        lines.append([one.constant.name, shown[0], shown[1], f"{one.moved:+.2f}", f"{one.spread:.2f}", f"{shown[2]} … {shown[3]}"])
    return tabulate(lines, ["constant", "in the file", "fitted", "moved", "left", "range"], disable_numparse=True)


def _unknown(found: Calibration) -> str:
    names = [one.constant.name for one in found.fitted if one.spread >= UNKNOWN]
    return f"What the data cannot tell (at least {UNKNOWN:.0%} of the prior's spread left): {', '.join(names) or 'nothing'}."


def _errors(found: Calibration) -> str:
    lines = []
    for one in residuals(found):
        shown = [f"{one[when]['median']:.1%} (p90 {one[when]['p90']:.0%}, bias {one[when]['bias']:+.0%})" for when in ("before", "after")]
        lines.append([one["suite"], one["metric"].replace("_given_time", " | time"), one["n"], *shown])
    return tabulate(lines, ["suite", "metric", "rows", "median |error| before", "after"], disable_numparse=True)
