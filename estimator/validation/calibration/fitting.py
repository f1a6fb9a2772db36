"""The fit: constants within their sourced ranges that explain measured rows best, and what the data say about each.

Least squares on the logarithm of predicted ÷ measured, in units of the model's own error, with soft-L1 loss so that no row pulls
hard (Triggs et al., Bundle adjustment, 2000), and one residual for each prior. Rows of one group (hardware × task) are wrong
together: n of them count as n / (1 + (n - 1) r), with r the intraclass correlation of their errors (Kish, Survey Sampling, 1965).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from estimator.errors import InvalidSetting, MissingDependency
from estimator.validation.calibration.constants import Constant
from estimator.validation.calibration.observing import Observed, observe
from estimator.validation.calibration.problem import Array, Linear, Problem, bounds_of, value_at
from estimator.validation.rows import Row

TRIES = 8  # exact: iterations after which the fit has settled or will not
ROUNDS = 2  # exact: the second with the scale of errors that the first leaves
SETTLED = 0.01  # exact: a step, in standard deviations of the prior, or a part of the cost, that is none


@dataclass(frozen=True)
class Fitted:
    """A constant after the fit: its `value` in SI, how far it `moved`, and the `spread` that is left, both in units of the prior's."""

    constant: Constant
    value: float
    moved: float
    spread: float


@dataclass(frozen=True)
class Calibration:
    """All constants that were free, the correlations that the data leave between them, and the problem with its solution."""

    fitted: tuple[Fitted, ...]
    correlation: Array
    problem: Problem
    deviates: Array

    @property
    def observed(self) -> Sequence[Observed]:
        """The rows that were used."""
        return self.problem.observed

    @cached_property
    def solution(self) -> Linear:
        """The problem at its solution."""
        return self.problem.linear(self.deviates)

    def values(self) -> dict[Constant, float]:
        """The fitted value of each constant, in SI."""
        return {one.constant: one.value for one in self.fitted}


def calibrate(rows: Sequence[Row], hardware: Sequence[str] = (), anywhere: bool = False, limit: int | None = None) -> Calibration:
    """Fits the constants that these rows depend on; see `observe` for the other arguments.

    Raises `InvalidSetting` where no row can be used and `MissingDependency` without scipy.
    """
    observed = observe(rows, hardware, anywhere, limit)
    if not observed:
        raise InvalidSetting(
            f"none of {len(rows)} rows can be used{' on ' + ', '.join(hardware) if hardware else ''}: give rows that "
            "`python -m estimator validate` scores, of hardware in the catalogue"
        )
    return fit(observed)


def fit(observed: Sequence[Observed]) -> Calibration:
    """The fit to these observations, from the priors' medians. Raises `MissingDependency`."""
    free = list(dict.fromkeys(constant for one in observed for constant in one.constants))
    problem, deviates = Problem(observed, free), np.zeros(len(free))
    for _ in range(ROUNDS):
        problem = problem.rescaled(deviates)
        deviates = minimise(problem, deviates)
    covariance = np.linalg.inv(problem.hessian(deviates))
    spread = np.sqrt(np.diag(covariance))
    fitted = (Fitted(constant, float(value_at(constant, x)), float(x), float(left)) for constant, x, left in zip(free, deviates, spread))
    return Calibration(tuple(fitted), covariance / np.outer(spread, spread), problem, deviates)


def minimise(problem: Problem, x: Array, here: Linear | None = None) -> Array:
    """Gauss–Newton with reweighting and bounds: each step is a bounded linear least-squares problem, halved until the cost falls.

    `here` is the problem at `x`, where that is known.
    """
    try:
        from scipy.optimize import lsq_linear
    except ImportError:
        raise MissingDependency('calibration needs scipy: pip install "joules-estimator[uq]"') from None
    low, high = np.array([bounds_of(constant) for constant in problem.free]).T
    here = here or problem.linear(x)
    for _ in range(TRIES):
        root = np.sqrt(problem.loss(here.residuals**2)[1])
        step = lsq_linear(root[:, np.newaxis] * here.jacobian, -root * here.residuals, (low - x, high - x), method="bvls").x
        there = problem.linear(x + step)
        while not there.cost <= here.cost and np.abs(step).max() > SETTLED:  # also where a chip cannot run: its cost is no number
            step = step / 2
            there = problem.linear(x + step)
        if not there.cost <= here.cost:
            break
        gained, x, here = here.cost - there.cost, x + step, there
        if gained < SETTLED * here.cost or np.abs(step).max() < SETTLED:
            break
    return x
