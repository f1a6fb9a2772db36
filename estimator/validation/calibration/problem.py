"""What the fit minimises: errors of all observations in units of the model's own error, and one residual for each prior."""

from collections.abc import Sequence

import numpy as np

from estimator.run.uncertainty import structural_error
from estimator.run.uncertainty_samples import AT_END, two_piece
from estimator.validation.calibration.constants import Constant
from estimator.validation.calibration.observation import Observation
from estimator.validation.calibration.observing import Observed
from estimator.validation.intervals import FIGURE

Array = np.ndarray
STEP = 0.02  # exact: of finite differences, in standard deviations of the prior
EDGE = 1e-6  # exact: a bound that must lie apart from the other


def value_at(constant: Constant, deviate: Array | float) -> Array:
    """The constant in SI at deviates of its prior."""
    return two_piece(constant.prior, np.asarray(deviate, dtype=float))


def deviate_of(constant: Constant, value: float) -> float:
    """The deviate at which the constant has this value in SI; clipped to its range."""
    grid = np.linspace(*bounds_of(constant), 2**12 + 1)
    return float(grid[np.abs(value_at(constant, grid) - value).argmin()])


def bounds_of(constant: Constant) -> tuple[float, float]:
    """The ends of the range as deviates; a side without width is closed."""
    prior = constant.prior
    return (-AT_END if prior.low < prior else -EDGE), (AT_END if prior.high > prior else EDGE)


def sigma_of(observation: Observation, metric: str) -> float:
    """The model's own error of a metric, as a standard deviation of its logarithm."""
    path = f"structural_error.{observation.kind}.{FIGURE[metric]}"
    factor = structural_error(observation.kind)[path]
    return float(np.log(factor.high / factor.low)) / (2 * AT_END)


class Problem:
    """Residuals, Jacobian and loss over all observations; the priors' residuals come last."""

    def __init__(self, observed: Sequence[Observed], free: Sequence[Constant]) -> None:
        self.observed, self.free = observed, free
        self.index = {constant: position for position, constant in enumerate(free)}
        nominal = [one.observation.errors({}) for one in observed]
        self.sigma = np.array([sigma_of(one.observation, metric) for one, errors in zip(observed, nominal) for metric in errors])
        groups = [f"{one.observation.group} {metric}" for one, errors in zip(observed, nominal) for metric in errors]
        self.weight = weights(np.concatenate([list(errors.values()) for errors in nominal]).ravel() / self.sigma, groups)

    def cost(self, x: Array) -> float:
        """Half of the summed loss."""
        errors = [error for one in self.observed for error in one.observation.errors(self._values(one, x[self._places(one)])).values()]
        residuals = np.concatenate([np.ravel(errors) / self.sigma, x])
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
        residuals, jacobian = self.linear(x)
        return jacobian.T @ (self.loss(residuals**2)[1][:, np.newaxis] * jacobian)

    def linear(self, x: Array) -> tuple[Array, Array]:
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
        return np.concatenate([residuals, x]), np.concatenate([jacobian, np.eye(len(x))])

    def _places(self, one: Observed) -> list[int]:
        return [self.index[constant] for constant in one.constants]

    def _values(self, one: Observed, deviates: Array) -> dict[str, Array]:
        return {constant.key: value_at(constant, row) for constant, row in zip(one.constants, deviates)}


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
