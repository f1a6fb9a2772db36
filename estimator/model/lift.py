"""Lifting: kernels traced at a few sizes become kernels whose dimensions are exact polynomials of the sizes.

The sample points form a grid: with n values of a size its powers 0 … n-1 are told apart, so every dimension has exactly one
polynomial through the grid. What makes it knowledge rather than a fit is the test at held-out sizes: it must be met exactly.
Dimensions are lifted, not costs, so a rule that rounds up or takes a minimum stays right at every size.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from fractions import Fraction
from itertools import product
from math import prod
from typing import Any

from estimator.errors import InvalidSetting, LiftError
from estimator.model.polynomial import Monomial, Polynomial
from estimator.model.work import Kernel, Signature, TensorSpec

Sizes = Mapping[str, int]
LIFTED = ("signatures", "reads", "writes", "resident")
ADVICE = "Its work has no closed form in these sizes; trace it at each size that you need."


def grid(**values: Sequence[int]) -> list[dict[str, int]]:
    """Every combination of the given values: `grid(batch=(2, 3), past=(5, 8))` has four points."""
    return [dict(zip(values, point)) for point in product(*values.values())]


def lift(points: Sequence[Sizes], held_out: Sequence[Sizes], kernels_at: Callable[..., tuple[Kernel, ...]]) -> tuple[Kernel, ...]:
    """The kernels of `kernels_at(**sizes)` for any sizes, their dimensions and whole-number arguments as `Polynomial`.

    `points` is a full grid (see `grid`); a dimension that does not change stays an int. Raises `LiftError`, which says what
    differs, where the kernels themselves depend on the sizes or a dimension is not the same polynomial at `held_out`.
    """
    return merge([*points, *held_out], [kernels_at(**sizes) for sizes in (*points, *held_out)], len(points))


def merge(sizes: Sequence[Sizes], samples: Sequence[tuple[Kernel, ...]], fitted: int) -> tuple[Kernel, ...]:
    """Kernels already traced at `sizes`, of which the first `fitted` form the grid and the rest are held out; else as `lift`."""
    fit = Fit(sizes[:fitted], sizes[fitted:])
    if len({len(sample) for sample in samples}) > 1:
        raise LiftError(f"the number of kernels depends on the sizes: {fit.show([len(sample) for sample in samples])}. {ADVICE}")
    return tuple(_merge_kernel(fit, kernels) for kernels in zip(*samples))


def _merge_kernel(fit: "Fit", kernels: tuple[Kernel, ...]) -> Kernel:
    first = kernels[0]
    for field in fields(Kernel):
        values = [getattr(kernel, field.name) for kernel in kernels]
        if field.name not in LIFTED and any(value != values[0] for value in values):
            what = f"the {field.name} of kernel {first.name!r} in {first.module!r}"
            raise LiftError(f"{what} depends on the sizes: {fit.show(values)}. {ADVICE}")
    try:
        return replace(first, **{name: fit(*(getattr(kernel, name) for kernel in kernels)) for name in LIFTED})
    except LiftError as error:
        raise LiftError(f"kernel {first.name!r} in {first.module!r}: {error}. {ADVICE}") from None


class Fit:
    """Merges one value per sample into one: whole numbers to polynomials, tensors and tuples part by part, the rest unchanged."""

    def __init__(self, points: Sequence[Sizes], held_out: Sequence[Sizes]) -> None:
        self.points, self.held_out = list(points), list(held_out)
        self.basis = _basis(self.points)
        self.inverse = _invert([[Fraction(_at(monomial, point)) for monomial in self.basis] for point in self.points])
        self.known: dict[tuple[int, ...], int | Polynomial] = {}

    def __call__(self, *values: Any) -> Any:
        first = values[0]
        if len({type(value) for value in values}) > 1:
            raise LiftError(f"an argument changes its type with the sizes: {self.show(values)}")
        if isinstance(first, TensorSpec):
            shapes, formats, expanded = zip(*((v.shape, v.format, v.expanded) for v in values))
            return TensorSpec(self(*shapes), self._same(*formats), self._same(*expanded))
        if isinstance(first, Signature):
            parts = zip(*((v.arguments, v.outputs) for v in values))
            return Signature(self._same(*(v.op for v in values)), *(self(*part) for part in parts))
        if isinstance(first, tuple):
            self._same(*(len(v) for v in values))
            return tuple(self(*parts) for parts in zip(*values))
        return self._number(values) if type(first) is int else self._same(*values)

    def show(self, values: Sequence[Any]) -> str:
        """The values and the sizes at which they appeared, for an error message."""
        return "; ".join(f"{value} at {_show(sizes)}" for value, sizes in zip(values, [*self.points, *self.held_out]))

    def _same(self, *values: Any) -> Any:
        if any(value != values[0] for value in values):
            raise LiftError(f"a value that is no size changes: {self.show(values)}")
        return values[0]

    def _number(self, values: tuple[int, ...]) -> int | Polynomial:
        if len(set(values)) == 1:
            return values[0]
        if values not in self.known:
            self.known[values] = self._polynomial(values)
        return self.known[values]

    def _polynomial(self, values: tuple[int, ...]) -> Polynomial:
        count = len(self.points)
        coefficients = [sum(a * b for a, b in zip(row, values[:count])) for row in self.inverse]
        polynomial = Polynomial.from_terms(dict(zip(self.basis, coefficients)))
        if any(polynomial(**sizes) != value for sizes, value in zip(self.held_out, values[count:])):
            raise LiftError(f"a size is no polynomial: {self.show(values)}, where {polynomial} was expected")
        return polynomial


def _basis(points: Sequence[Sizes]) -> list[Monomial]:
    distinct = {name: sorted({point[name] for point in points}) for name in points[0]}
    if prod(map(len, distinct.values())) != len(points) or len({tuple(sorted(point.items())) for point in points}) != len(points):
        raise InvalidSetting(f"the {len(points)} sample points are no grid: give every combination of the sizes' values, as `grid` does")
    powers = product(*(range(len(values)) for values in distinct.values()))
    return [tuple(sorted((name, power) for name, power in zip(distinct, row) if power)) for row in powers]


def _at(monomial: Monomial, sizes: Sizes) -> int:
    return prod(sizes[name] ** power for name, power in monomial)


def _invert(matrix: list[list[Fraction]]) -> list[list[Fraction]]:
    """Gauss-Jordan elimination; a grid's matrix is never singular (it is a product of Vandermonde matrices)."""
    size = len(matrix)
    rows = [row + [Fraction(int(i == j)) for j in range(size)] for i, row in enumerate(matrix)]
    for column in range(size):
        pivot = next(i for i in range(column, size) if rows[i][column])
        rows[column], rows[pivot] = rows[pivot], rows[column]
        rows[column] = [value / rows[column][column] for value in rows[column]]
        for i in range(size):
            if i != column:
                rows[i] = [value - rows[i][column] * lead for value, lead in zip(rows[i], rows[column])]
    return [row[size:] for row in rows]


def _show(sizes: Sizes) -> str:
    return ", ".join(f"{name}={value}" for name, value in sizes.items())
