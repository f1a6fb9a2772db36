"""Quasi-random points: standard normal deviates that fill many dimensions more evenly than random ones, and always the same.

Coordinate j of point k is the fractional part of k √p_j with p_j the j-th prime, an additive recurrence (Richtmyer, Los Alamos
report LA-1342, 1951). Two corrections make few points go far: each coordinate is replaced by its rank, so that every single
quantity is sampled at its exact quantiles (a Latin hypercube; McKay, Beckman and Conover, Technometrics 21, 1979), and the
correlations that remain between coordinates are taken out (Iman and Conover, Communications in Statistics B11, 1982).
"""

from functools import cache
from statistics import NormalDist

import numpy as np

from estimator.errors import InvalidSetting

FEWEST = 4  # exact: points for each dimension below which correlations between dimensions cannot be taken out well
ROUNDS = 2  # exact: taking out correlations changes ranks, which leaves smaller correlations; two rounds leave some 0.001


@cache
def deviates(points: int, dimensions: int) -> np.ndarray:
    """Standard normal deviates of shape (`dimensions`, `points`), one row for each quantity. Treat as read-only.

    Raises `InvalidSetting` for so few points that the dimensions cannot be told apart.
    """
    if points < FEWEST * dimensions or points < 1:
        raise InvalidSetting(f"{points} samples of {dimensions} quantities: expected at least {FEWEST} samples for each quantity")
    normal = NormalDist()
    quantiles = np.array([normal.inv_cdf((k + 1 / 2) / points) for k in range(points)])
    found = _ranked(np.outer(_primes(dimensions) ** 0.5, np.arange(1, points + 1)) % 1, quantiles)
    for _ in range(ROUNDS if dimensions else 0):
        root = np.linalg.cholesky(found @ found.T / points)
        found = _ranked(np.linalg.solve(root, found), quantiles)
    return found


def _ranked(rows: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Each row's entries replaced by those of the ascending `values` that have the same rank."""
    ranked = np.empty(rows.shape)
    np.put_along_axis(ranked, rows.argsort(axis=1), values[np.newaxis], axis=1)
    return ranked


def _primes(count: int) -> np.ndarray:
    found: list[int] = []
    number = 2
    while len(found) < count:
        if all(number % prime for prime in found):
            found.append(number)
        number += 1
    return np.array(found, dtype=float)
