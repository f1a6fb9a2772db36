"""The fit: constants within their sourced ranges that explain measured rows best, and what the data say about each.

Least squares on the logarithm of predicted ÷ measured, in units of the model's own error, with soft-L1 loss so that no row pulls
hard (Triggs et al., Bundle adjustment, 2000), and one residual for each prior. Rows of one group (hardware × task) are wrong
together: n of them count as n / (1 + (n - 1) r), with r the intraclass correlation of their errors (Kish, Survey Sampling, 1965).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from estimator.errors import InvalidSetting, MissingDependency
from estimator.validation.calibration.constants import Constant
from estimator.validation.calibration.observing import Observed, observe
from estimator.validation.calibration.problem import Array, Problem, bounds_of, deviate_of, value_at
from estimator.validation.rows import Row

TRIES = 12  # exact: iterations after which the fit has settled or will not
SETTLED = 0.02  # exact: a step, in standard deviations of the prior, that is none


@dataclass(frozen=True)
class Fitted:
    """A constant after the fit: its `value` in SI, how far it `moved`, and the `spread` that is left, both in units of the prior's."""

    constant: Constant
    value: float
    moved: float
    spread: float


@dataclass(frozen=True)
class Calibration:
    """All constants that were free, the observations, and the correlations that the data leave between constants."""

    fitted: tuple[Fitted, ...]
    observed: tuple[Observed, ...]
    correlation: Array

    def values(self) -> dict[Constant, float]:
        """The fitted value of each constant, in SI."""
        return {one.constant: one.value for one in self.fitted}


def calibrate(rows: Sequence[Row], hardware: Sequence[str] = (), anywhere: bool = False) -> Calibration:
    """Fits the constants that these rows depend on; see `observe` for `hardware` and `anywhere`.

    Raises `InvalidSetting` where no row can be used and `MissingDependency` without scipy.
    """
    observed = observe(rows, hardware, anywhere)
    if not observed:
        raise InvalidSetting(
            f"none of {len(rows)} rows can be used{' on ' + ', '.join(hardware) if hardware else ''}: give rows that "
            "`python -m estimator validate` scores, of hardware in the catalogue"
        )
    return fit(observed)


def fit(observed: Sequence[Observed], start: Mapping[Constant, float] | None = None) -> Calibration:
    """The fit to these observations, from the priors' medians or from other values of the constants. Raises `MissingDependency`."""
    free = list(dict.fromkeys(constant for one in observed for constant in one.constants))
    problem = Problem(observed, free)
    begin = [deviate_of(constant, start[constant]) if start and constant in start else 0.0 for constant in free]
    deviates = minimise(problem, np.array(begin), *np.array([bounds_of(constant) for constant in free]).T)
    covariance = np.linalg.inv(problem.hessian(deviates))
    spread = np.sqrt(np.diag(covariance))
    fitted = (Fitted(constant, float(value_at(constant, x)), float(x), float(left)) for constant, x, left in zip(free, deviates, spread))
    return Calibration(tuple(fitted), tuple(observed), covariance / np.outer(spread, spread))


def minimise(problem: Problem, x: Array, low: Array, high: Array) -> Array:
    """Gauss–Newton with reweighting and bounds: each step is a bounded linear least-squares problem, halved until the cost falls."""
    try:
        from scipy.optimize import lsq_linear
    except ImportError:
        raise MissingDependency('calibration needs scipy: pip install "joules-estimator[uq]"') from None
    cost = problem.cost(x)
    for _ in range(TRIES):
        residuals, jacobian = problem.linear(x)
        root = np.sqrt(problem.loss(residuals**2)[1])
        step = lsq_linear(root[:, np.newaxis] * jacobian, -root * residuals, (low - x, high - x), method="bvls").x
        size = 1.0
        while problem.cost(x + size * step) > cost and size > SETTLED:
            size /= 2
        if size <= SETTLED or np.abs(size * step).max() < SETTLED:
            break
        x = x + size * step
        cost = problem.cost(x)
    return x
