"""Samples as an `Uncertainty`: quantiles of what the truth may be, and what their spread is made of."""

from collections.abc import Mapping, Sequence

import numpy as np

from estimator.errors import EstimatorError
from estimator.run.uncertainty import Uncertainty
from estimator.run.uncertainty_samples import Sampler

TABLE = 200  # exact: steps of the quantile tables, half a percent each
RIDGE = 1e-9  # exact: keeps the regression solvable where a cause never varies or two are one
Array = np.ndarray


def summary(ratios: Mapping[str, Array], drawn: Sampler, foreign: Mapping[str, set[str]]) -> Uncertainty:
    """Quantiles of samples ÷ estimate, those left out that no chip can be, and what their spread is made of.

    `foreign` names what does not act on a figure, such as the structural errors of the others; a figure without an entry gets no shares.
    """
    possible = np.isfinite(ratios["energy"])
    if not possible.any():
        raise EstimatorError(
            "no sample within the sourced ranges can run at all; narrow the ranges of the profile's thermal and power tables"
        )
    rows = {path: np.broadcast_to(_cause(drawn, path), possible.shape)[possible] for path in drawn.used} if foreign else {}
    quantiles, shares = {}, {}
    for figure, ratio in ratios.items():
        values = np.broadcast_to(ratio, possible.shape)[possible]
        quantiles[figure] = tuple(float(x) for x in np.quantile(values, np.linspace(0, 1, TABLE + 1)))
        mine = {path: row for path, row in rows.items() if path not in foreign.get(figure, ())}
        inner = quantiles[figure][1], quantiles[figure][-2]  # beyond, single samples far out would make up most of the variance
        shares[figure] = dict(zip(mine, _shares(list(mine.values()), np.log(np.clip(values, *inner)))))
    return Uncertainty(quantiles, shares)


def _cause(drawn: Sampler, path: str) -> Array:
    """What the logarithm of a figure is taken to be linear in: that of the quantity, or itself where it may be zero."""
    return np.log(drawn[path]) if drawn.quantities[path].low > 0 else drawn[path]


def _shares(causes: Sequence[Array], effect: Array) -> list[float]:
    """Shares of the variance of `effect` that each of `causes` explains alone, as far as a parabola tells.

    Regression coefficient × correlation of its linear and its quadratic term, all standardised: they add up to R² (Pratt, 1987).
    For independent causes that is the first-order Sobol index of a chaos expansion of second degree (Sudret, Reliability
    Engineering and System Safety 93, 2008).
    """
    if not causes or np.ptp(effect) == 0:
        return [0.0] * len(causes)
    linear, y = _standardised(np.array(causes)), _standardised(effect)
    x = np.concatenate([linear, _standardised(linear**2)])
    alike, told = x @ x.T / len(y), x @ y / len(y)
    parts = np.linalg.solve(alike + RIDGE * np.eye(len(x)), told) * told
    return [float(a + b) for a, b in zip(parts, parts[len(causes) :])]


def _standardised(rows: Array) -> Array:
    spread = rows.std(axis=-1, keepdims=True)
    return (rows - rows.mean(axis=-1, keepdims=True)) / np.where(spread > 0, spread, 1)
