"""Puts numbers in the place of the sizes in kernels, working out again only what the sizes that changed touch.

The steps of a generating model differ in the tokens that are cached and in nothing else, so most of their kernels are the same ones.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from estimator.kept import kept
from estimator.model.polynomial import Polynomial
from estimator.model.work import Kernel, Signature, TensorSpec

KEPT = 64  # exact: programs that are kept cut into steps
PARTS = ("signatures", "reads", "writes", "resident", "count")
Sizes = Mapping[str, Any]
ONCE = frozenset({""})  # in place of the symbols of a polynomial without any, which is worked out once


@kept(KEPT)
def template(kernels: tuple[Kernel, ...]) -> "Template":
    """The `Template` of kernels whose dimensions are polynomials."""
    return Template(kernels)


class Template:
    """Kernels cut into values, each made from values before it; equal ones are one. What changes with no size is made here."""

    def __init__(self, kernels: tuple[Kernel, ...]) -> None:
        self.places: dict[Any, int] = {}
        self.values: list[Any] = []
        self.symbols: list[frozenset[str]] = []
        self.steps: list[tuple[int, frozenset[str], Callable[..., Any], tuple[int, ...]]] = []
        self.polynomials: list[tuple[int, Polynomial]] = []
        places = [tuple(self._place(getattr(kernel, name)) for name in PARTS) for kernel in kernels]
        self.kernels = [(kernel, self._touching(parts), parts) for kernel, parts in zip(kernels, places)]
        self.last: tuple[Sizes | None, list[Any], tuple[Kernel, ...]] = (None, self.values, kernels)

    def at(self, sizes: Sizes) -> tuple[Kernel, ...]:
        """The kernels at these sizes; those that the sizes given before leave as they were are the same objects."""
        before, old, made = self.last
        changed = {*ONCE, *sizes} if before is None else {name for name, size in sizes.items() if not _same(before[name], size)}
        values = list(old)
        for place, polynomial in self.polynomials:
            if not self.symbols[place].isdisjoint(changed):
                values[place] = polynomial(**sizes)
        for place, symbols, make, parts in self.steps:
            if not symbols.isdisjoint(changed):
                values[place] = make([values[part] for part in parts])
        kernels = tuple(
            known if symbols.isdisjoint(changed) else _kernel(kernel, *[values[part] for part in parts])
            for (kernel, symbols, parts), known in zip(self.kernels, made)
        )
        if all(isinstance(size, (int, float)) for size in sizes.values()):
            self.last = dict(sizes), values, kernels
        return kernels

    def _place(self, value: Any) -> int:
        """Where the value stands among `values`, with all that it is made of before it."""
        key: tuple[Any, ...]
        make: Callable[..., Any] | None
        parts: tuple[int, ...]
        if isinstance(value, Polynomial):
            key, make, parts = (Polynomial, value), None, ()
        elif isinstance(value, TensorSpec):
            parts = (self._place(value.shape),)
            key, make = (TensorSpec, parts, value.format, value.expanded), partial(_tensor, value)
        elif isinstance(value, Signature):
            parts = (self._place(value.arguments), self._place(value.outputs))
            key, make = (Signature, parts, value.op), partial(_signature, value)
        elif isinstance(value, tuple):
            parts = tuple(map(self._place, value))
            key, make = (tuple, parts), tuple
        else:
            key, make, parts = (type(value), value), None, ()
        if key not in self.places:
            self._add(key, value, make, parts)
        return self.places[key]

    def _add(self, key: Any, value: Any, make: Callable[..., Any] | None, parts: tuple[int, ...]) -> None:
        place = self.places[key] = len(self.values)
        symbols = self._touching(parts)
        if isinstance(value, Polynomial):
            symbols = value.symbols or ONCE
            self.polynomials.append((place, value))
        elif symbols and make is not None:
            self.steps.append((place, symbols, make, parts))
        self.values.append(value)
        self.symbols.append(symbols)

    def _touching(self, parts: tuple[int, ...]) -> frozenset[str]:
        """Names of the sizes that change any of the parts."""
        return frozenset().union(*(self.symbols[part] for part in parts))


def _kernel(kernel: Kernel, signatures: Any, reads: Any, writes: Any, resident: Any, count: Any) -> Kernel:
    about = kernel.name, kernel.kind, kernel.phase, kernel.module
    return Kernel(*about, signatures, reads, writes, kernel.format, count, kernel.layers, resident)


def _tensor(spec: TensorSpec, made: list[Any]) -> TensorSpec:
    return TensorSpec(made[0], spec.format, spec.expanded)


def _signature(signature: Signature, made: list[Any]) -> Signature:
    return Signature(signature.op, made[0], made[1])


def _same(before: Any, now: Any) -> bool:
    """Whether two sizes are the same number in the same form; arrays and symbols count as new."""
    return type(before) is type(now) and isinstance(now, (int, float)) and before == now
