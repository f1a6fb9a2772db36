"""The interval of an estimate and what its width is made of, as figures, as rows and as text."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from estimator.errors import EstimatorError, unknown_name
from estimator.quantity import Quantity
from estimator.run.uncertainty import LEVEL, METER, METERED, STRUCTURAL, Uncertainty
from estimator.units import format_si

if TYPE_CHECKING:
    from estimator.report.estimate import Estimate

NAMED = 3  # exact: contributors that reports name
TOGETHER = "(together)"  # what no number explains alone


def uncertainty(estimate: "Estimate") -> Uncertainty:
    """What the ranges of all numbers of an estimate make of it; needs numpy. Raises `EstimatorError` for one read from old JSON."""
    from estimator.run.uncertainty_meter import Surroundings
    from estimator.run.uncertainty_propagation import propagate

    errors = {one.name: Quantity(one.value, one.unit, one.low, one.high) for one in estimate.numbers if one.name.startswith(STRUCTURAL)}
    outside = {path: one for path, one in errors.items() if path.split(".")[1] in METERED.values()}
    inside = {path: one for path, one in errors.items() if path not in outside}
    meter = estimate.facility.meter if estimate.facility else None
    return propagate(estimate.phases, inside, meter=Surroundings(meter, outside) if meter else None)


def figures(estimate: "Estimate") -> dict[str, float]:
    """All figures that have an interval: `Estimate.figures`, and those at the meter where the run has a facility."""
    around = estimate.facility.figures() if estimate.facility else {}
    return estimate.figures() | {f"{METER}{name}": value for name, value in around.items()}


def interval(estimate: "Estimate", level: float, of: str) -> tuple[float, float]:
    """(low, high) of one of `figures` in its unit. Raises `UnknownName` and `InvalidSetting`."""
    value = _figure(estimate, of)
    low, high = estimate.uncertainty.interval(level, _varying(of))
    return value * low, value * high


def _figure(estimate: "Estimate", of: str) -> float:
    known = figures(estimate)
    if of not in known:
        raise unknown_name("figure", of, known, "Pass one of these as of=….")
    return known[of]


def sensitivity(estimate: "Estimate", of: str) -> list[dict[str, Any]]:
    """Rows of `name`, `value`, `low`, `high`, `unit`, `source`, `status` and `share` of the variance, largest first; see `Estimate`."""
    _figure(estimate, of)
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


def spread(estimate: "Estimate", of: str = "energy", form: Callable[[float], str] = lambda joules: format_si(joules, "J")) -> str:
    """`90 %: 610 J … 1.28 kJ`, or nothing where the estimate cannot tell."""
    if not known(estimate, of):
        return ""
    low, high = map(form, interval(estimate, LEVEL, of))
    return f"{LEVEL:.0%}: {low} … {high}".replace("%", " %")


def contributors(estimate: "Estimate", of: str = "energy") -> str:
    """One line that names what most of the interval comes from."""
    rows = [row for row in sensitivity(estimate, of) if row["share"] > 0 and row["name"] != TOGETHER] if known(estimate, of) else []
    return f"uncertain most by {_listed(rows[:NAMED])}" if rows else ""


def _listed(rows: Iterable[dict[str, Any]]) -> str:
    return ", ".join(f"{_plain(row['name'])} ({row['share']:.0%})" for row in rows)


def _plain(name: str) -> str:
    """The path without its first word, which says only which file it is from."""
    return "the model's own error" if name.startswith(STRUCTURAL) else name.partition(".")[2]


def known(estimate: "Estimate", of: str = "energy") -> bool:
    """Whether an estimate can tell the interval of a figure: one that was read from old JSON cannot."""
    try:
        return _varying(of) in estimate.uncertainty.quantiles
    except EstimatorError:
        return False
