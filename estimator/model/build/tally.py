"""Kernels of a part of a pipeline for any size: lifted, then equal launches counted together.

A decoder that goes through its frames in chunks launches more kernels for more frames: there the number of launches, not only
the dimensions, is a polynomial of the frames.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from estimator.errors import LiftError
from estimator.model.lift import Fit, Sizes, grid, lift
from estimator.model.work import Dim, Kernel

Kernels = tuple[Kernel, ...]
Made = Callable[..., Kernels]


def tally(kernels: Sequence[Kernel], part: str) -> Kernels:
    """Equal launches as one kernel with a count, wherever in the `part` they happen."""
    counts: dict[Kernel, Dim] = {}
    for kernel in kernels:
        alike = replace(kernel, module=part, count=1, layers=())
        counts[alike] = counts.get(alike, 0) + kernel.launches
    return tuple(replace(kernel, count=count) for kernel, count in counts.items())


def lifted(kernels_at: Made, samples: Mapping[str, Sequence[int]], check: Sizes, part: str) -> Kernels:
    """The kernels of one part for any sizes between and beyond the `samples`; `check` is held out. Raises `LiftError`."""
    return tally(lift(grid(**samples), [dict(check)], kernels_at), part)


def lifted_in_chunks(kernels_at: Made, samples: Mapping[str, Sequence[int]], check: Sizes, part: str, over: str) -> Kernels:
    """As `lifted`, where more `over` means more launches of the same shapes: counts are linear in it. Raises `LiftError`."""
    inner = {name: values for name, values in samples.items() if name != over}
    rest = {name: value for name, value in check.items() if name != over}
    stretches = [{over: value} for value in (*samples[over], check[over])]
    tallies = [_counts(lifted(lambda fixed=fixed, **sizes: kernels_at(**fixed, **sizes), inner, rest, part)) for fixed in stretches]
    fit = Fit(stretches[:-1], stretches[-1:])
    return tuple(replace(kernel, count=_number(fit, kernel, tallies)) for kernel in dict.fromkeys(k for t in tallies for k in t))


def _counts(kernels: Kernels) -> dict[Kernel, Dim]:
    return {replace(kernel, count=1): kernel.count for kernel in kernels}


def _number(fit: Fit, kernel: Kernel, tallies: Sequence[Mapping[Kernel, Dim]]) -> Any:
    try:
        return fit(*(tally.get(kernel, 0) for tally in tallies))
    except LiftError as error:
        raise LiftError(f"launches of kernel {kernel.name!r} in {kernel.module!r}: {error}") from None
