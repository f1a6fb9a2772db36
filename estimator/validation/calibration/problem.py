"""What the fit minimises: errors of all observations in units of the model's own error, and one residual for each prior.

The model's own error of a kind of run and metric is the scale of its errors where the fit stands, found anew in a second round.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log
from statistics import NormalDist

import numpy as np

from estimator.facts import load_facts
from estimator.run.uncertainty_samples import AT_END, two_piece
from estimator.validation.calibration.constants import Constant
from estimator.validation.calibration.observing import Observed

Array = np.ndarray
STEP = 0.02  # exact: of finite differences, in standard deviations of the prior
QUARTILE = NormalDist().inv_cdf(0.75)  # exact: the median |deviate| of a normal distribution
EDGE = 1e-6  # exact: a bound that must lie apart from the other


def value_at(constant: Constant, deviate: Array | float) -> Array:
    """The constant in SI at deviates of its prior."""
    return two_piece(constant.prior, np.asarray(deviate, dtype=float))


def bounds_of(constant: Constant) -> tuple[float, float]:
    """The ends of the range as deviates; a side without width is closed."""
    prior = constant.prior
    return (-AT_END if prior.low < prior else -EDGE), (AT_END if prior.high > prior else EDGE)


def values_of(one: Observed, values: Mapping[Constant, float]) -> dict[str, float]:
    """The values of an observation's constants by sampler path; those that are not given stay as the files have them."""
    return {constant.key: values[constant] for constant in one.constants if constant in values}


@dataclass(frozen=True)
class Linear:
    """The problem around one point: residuals, their derivatives, and half of the summed loss."""

    residuals: Array
    jacobian: Array
    cost: float


class Problem:
    """Residuals, Jacobian and loss over all observations; the priors' residuals come last."""

    def __init__(self, observed: Sequence[Observed], free: Sequence[Constant]) -> None:
        self.observed, self.free = observed, free
        self.index = {constant: position for position, constant in enumerate(free)}
        metrics = [(one.observation, metric) for one in observed for metric in one.observation.errors({})]
        self.kinds = np.array([f"{observation.kind} {metric}" for observation, metric in metrics])
        self.groups = [f"{observation.group} {metric}" for observation, metric in metrics]
        self.counts = [len(one.observation.measured) for one in observed]
        self.sigma = self.weight = np.ones(len(metrics))

    def rescaled(self, x: Array) -> "Problem":
        """The same problem, its model error and the weights of groups taken from the errors at `x`."""
        other = Problem(self.observed, self.free)
        errors = self.linear(x).residuals[: len(self.sigma)] * self.sigma
        other.sigma = np.array([scale(errors[self.kinds == kind]) for kind in self.kinds])
        other.weight = weights(errors / other.sigma, self.groups)
        return other

    def without(self, left_out: Array, here: Linear) -> "tuple[Problem, Linear]":
        """The problem without some observations (booleans), and what is known of it where `here` is known of the whole."""
        part = Problem([one for one, gone in zip(self.observed, left_out) if not gone], self.free)
        kept = ~np.repeat(left_out, self.counts)
        part.sigma, part.weight = self.sigma[kept], self.weight[kept]
        lines = np.concatenate([kept, np.ones(len(self.free), dtype=bool)])
        residuals = here.residuals[lines]
        return part, Linear(residuals, here.jacobian[lines], part.cost(residuals))

    def cost(self, residuals: Array) -> float:
        """Half of the summed loss."""
        return float(self.loss(residuals**2)[0].sum()) / 2

    def loss(self, squares: Array) -> Array:
        """Soft-L1 for rows, each with its weight, and the plain square for priors: the function and its two derivatives."""
        rows = len(self.weight)
        root = np.sqrt(1 + squares[:rows])
        soft = self.weight * np.array([2 * (root - 1), 1 / root, -1 / (2 * root**3)])
        prior = np.array([squares[rows:], np.ones(len(self.free)), np.zeros(len(self.free))])
        return np.concatenate([soft, prior], axis=1)

    def hessian(self, x: Array) -> Array:
        """Of half the loss, after Gauss and Newton: what rows and priors together say about the constants."""
        here = self.linear(x)
        return here.jacobian.T @ (self.loss(here.residuals**2)[1][:, np.newaxis] * here.jacobian)

    def linear(self, x: Array) -> Linear:
        """Errors in units of the model's own error, then the deviates themselves; and the derivatives of both, by differences."""
        step = np.where(x > 0, -STEP, STEP)  # towards the middle of each range
        errors, slopes = [], []
        for one in self.observed:
            places = self._places(one)
            size = len(places) + 1
            moved = np.tile(x[places][:, np.newaxis], size)
            moved[range(len(places)), range(1, size)] += step[places]
            for found in one.observation.errors(self._values(one, moved), size).values():
                errors.append(found[0])
                slope = np.zeros(len(x))
                slope[places] = (found[1:] - found[0]) / step[places]
                slopes.append(slope)
        residuals, jacobian = np.array(errors) / self.sigma, np.array(slopes) / self.sigma[:, np.newaxis]
        residuals, jacobian = np.concatenate([residuals, x]), np.concatenate([jacobian, np.eye(len(x))])
        return Linear(residuals, jacobian, self.cost(residuals))

    def _places(self, one: Observed) -> list[int]:
        return [self.index[constant] for constant in one.constants]

    def _values(self, one: Observed, deviates: Array) -> dict[str, Array]:
        return {constant.key: value_at(constant, row) for constant, row in zip(one.constants, deviates)}


def scale(errors: Array) -> float:
    """The standard deviation of a normal distribution with this median |error|; no less than laboratories differ by."""
    floor = log(load_facts("physics/structural_error")["between_laboratories"]["spread"]) / AT_END
    return max(float(np.median(np.abs(errors))) / QUARTILE, floor)


def weights(residuals: Array, groups: Sequence[str]) -> Array:
    """How much each row counts: one over the design effect of its group."""
    _, member, sizes = np.unique(np.array(groups), return_inverse=True, return_counts=True)
    clipped = np.clip(residuals, *np.quantile(residuals, [1 - 0.95, 0.95]))  # exact: so that single rows do not make the correlation
    alike = correlation_within(clipped, member, sizes)
    return (1 / (1 + (sizes - 1) * alike))[member]


def correlation_within(residuals: Array, member: Array, sizes: Array) -> float:
    """Intraclass correlation of the residuals by one-way analysis of variance; 0 … 1, and 1 where each group has one member."""
    count, groups = len(residuals), len(sizes)
    if groups < 2 or count == groups:
        return 1.0
    means = np.bincount(member, residuals) / sizes
    between = float(sizes @ (means - residuals.mean()) ** 2) / (groups - 1)
    inside = float(((residuals - means[member]) ** 2).sum()) / (count - groups)
    typical = (count - (sizes**2).sum() / count) / (groups - 1)
    return float(np.clip((between - inside) / (between + (typical - 1) * inside), 0, 1)) if between + inside > 0 else 1.0
