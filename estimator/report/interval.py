"""The interval of an estimate and what its width is made of, as figures, as rows and as text."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from estimator.errors import EstimatorError, unknown_name
from estimator.quantity import Quantity
from estimator.run.uncertainty import LEVEL, STRUCTURAL, Uncertainty
from estimator.units import format_si

if TYPE_CHECKING:
    from estimator.report.estimate import Estimate

NAMED = 3  # exact: contributors that reports name
TOGETHER = "(together)"  # what no number explains alone


def uncertainty(estimate: "Estimate") -> Uncertainty:
    """What the ranges of all numbers of an estimate make of it; needs numpy. Raises `EstimatorError` for one read from old JSON."""
    from estimator.run.uncertainty_propagation import propagate

    structural = {one.name: Quantity(one.value, one.unit, one.low, one.high) for one in estimate.numbers if one.name.startswith(STRUCTURAL)}
    return propagate(estimate.phases, structural)


def interval(estimate: "Estimate", level: float, of: str) -> tuple[float, float]:
    """(low, high) of one of `Estimate.figures` in its unit. Raises `UnknownName` and `InvalidSetting`."""
    figures = estimate.figures()
    if of not in figures:
        raise unknown_name("figure", of, figures, "Pass one of these as of=….")
    low, high = estimate.uncertainty.interval(level, _varying(of))
    return figures[of] * low, figures[of] * high


def sensitivity(estimate: "Estimate", of: str) -> list[dict[str, Any]]:
    """Rows of `name`, `value`, `low`, `high`, `unit`, `source`, `status` and `share` of the variance, largest first; see `Estimate`."""
    figures = estimate.figures()
    if of not in figures:
        raise unknown_name("figure", of, figures, "Pass one of these as of=….")
    shares = estimate.uncertainty.shares[_varying(of)]
    numbers = {one.name: one for one in estimate.numbers}
    ranked = sorted(shares.items(), key=lambda item: -item[1])
    rows = [_row(numbers[name], share) for name, share in ranked if name in numbers]
    return [*rows, {"name": TOGETHER, "share": 1 - sum(shares.values()) if any(shares.values()) else 0.0}]


def _varying(figure: str) -> str:
    """The figure whose factor another one shares: joules per token vary as the joules do."""
    return "energy" if figure.startswith("energy") else figure


def _row(number: Any, share: float) -> dict[str, Any]:
    return {name: getattr(number, name) for name in ("name", "value", "low", "high", "unit", "source", "status")} | {"share": share}


def spread(estimate: "Estimate") -> str:
    """`90 %: 610 J … 1.28 kJ`, or nothing where the estimate cannot tell."""
    if not known(estimate):
        return ""
    low, high = (format_si(bound, "J") for bound in interval(estimate, LEVEL, "energy"))
    return f"{LEVEL:.0%}: {low} … {high}".replace("%", " %")


def contributors(estimate: "Estimate") -> str:
    """One line that names what most of the interval comes from."""
    rows = [row for row in sensitivity(estimate, "energy") if row["share"] > 0 and row["name"] != TOGETHER] if known(estimate) else []
    return f"uncertain most by {_listed(rows[:NAMED])}" if rows else ""


def _listed(rows: Iterable[dict[str, Any]]) -> str:
    return ", ".join(f"{_plain(row['name'])} ({row['share']:.0%})" for row in rows)


def _plain(name: str) -> str:
    """The path without its first word, which says only which file it is from."""
    return "the model's own error" if name.startswith(STRUCTURAL) else name.partition(".")[2]


def known(estimate: "Estimate") -> bool:
    """Whether an estimate can tell its interval: one that was read from old JSON cannot."""
    try:
        return bool(estimate.uncertainty)
    except EstimatorError:
        return False
