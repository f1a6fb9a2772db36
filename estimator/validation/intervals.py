"""Intervals of a predicted row: the spread of its energy, time and power as factors on what was predicted."""

from estimator.errors import EstimatorError
from estimator.quantity import Quantity
from estimator.run.uncertainty import FIGURES, METER, Uncertainty, structural_error
from estimator.run.uncertainty_meter import Surroundings
from estimator.run.uncertainty_propagation import propagate, propagate_idle
from estimator.validation.hardware import profile_of
from estimator.validation.metered import Metered, Standing
from estimator.validation.prediction import Prediction, Steady
from estimator.validation.rows import Row
from estimator.validation.score import LEVELS
from estimator.validation.suites import structural_kind

FIGURE = {"time": "time", "energy_given_time": "power", "energy": "energy"}  # by metric: what it is uncertain as
SAMPLES = 512  # exact: enough for quantiles of single rows
NOTHING = {figure: Quantity(1.0) for figure in FIGURES}  # no structural error
PERCENT = 1 / 100  # exact: by definition

Factors = dict[str, dict[int, tuple[float, float]]]  # by metric and level in percent


def spread(row: Row, prediction: Prediction | Steady, structural: dict[str, Quantity] | None = None) -> Uncertainty:
    """The `Uncertainty` of a prediction, with the structural error of its kind unless another one is given.

    Raises `EstimatorError` where phases do not hold what they were priced from.
    """
    found = structural_error(structural_kind(row, prediction)) if structural is None else structural
    if isinstance(prediction, Standing) and prediction.devices:
        return propagate_idle(prediction.devices, found, SAMPLES, False, prediction.around, prediction.parts)
    if isinstance(prediction, Steady):
        return propagate_idle(profile_of(row), found, SAMPLES, shares=False)
    meter, unknown = None, {}
    if isinstance(prediction, Metered):
        meter, unknown = prediction.around, dict(prediction.unknown.responses())
    if meter is None:
        return propagate(prediction.phases, found, SAMPLES, shares=False, unknown=unknown)
    read = propagate(prediction.phases, found, SAMPLES, shares=False, meter=Surroundings(meter, found), unknown=unknown).quantiles
    return Uncertainty({figure: read.get(f"{METER}{figure}", read[figure]) for figure in FIGURES}, {})


def factors(row: Row, prediction: Prediction | Steady) -> Factors:
    """(low, high) by metric and level, as factors on the prediction; empty where no interval can be computed."""
    try:
        found = spread(row, prediction)
    except EstimatorError:
        return {}
    return {metric: {level: found.interval(level * PERCENT, figure) for level in LEVELS} for metric, figure in FIGURE.items()}
