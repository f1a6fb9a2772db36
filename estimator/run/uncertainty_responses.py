"""Numbers that shape a run as a whole, such as shares of time lost or links shared by a node: what their ranges do to its figures.

Kernels are not priced anew for every sample. The run is worked out with one number at either end of its range, the others at their
values. In between and beyond, the logarithm of a figure is linear on each side in that of the number, or in the number itself where
its range reaches down to zero. So a number alone is followed exactly at its value and at both ends, and several act one after the other.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import Any

import numpy as np

from estimator.errors import Infeasible
from estimator.quantity import Quantity
from estimator.run.phase import Origin, Phase
from estimator.run.repeat import joules, seconds
from estimator.run.uncertainty_samples import Sampler, is_ranged

HALVINGS = 20  # exact: towards the value, until a run is possible: to one millionth of the range
Figures = tuple[float, ...]


@dataclass(frozen=True)
class Response:
    """How the logarithms of figures change with a number: by `low` at `ends[0]` and by `high` at `ends[1]`."""

    quantity: Quantity
    ends: tuple[float, float]
    low: Figures
    high: Figures

    def change(self, drawn: Any) -> np.ndarray:
        """Change of each figure's logarithm at the samples `drawn`: an array of shape (figures, samples)."""
        place = _place if self.quantity.low > 0 else np.asarray
        value, ends = place(float(self.quantity)), [place(end) for end in self.ends]
        moved = place(drawn) - value
        parts = [np.minimum(moved, 0), np.maximum(moved, 0)]
        each = [part / (end - value) if end != value else 0 * part for part, end in zip(parts, ends)]
        return np.outer(self.low, each[0]) + np.outer(self.high, each[1])


def _place(value: Any) -> Any:
    return np.log(np.asarray(value, dtype=float))


def responses(quantities: Mapping[str, Quantity], figures: Callable[[str | None, float], Figures]) -> dict[str, Response]:
    """The `Response` to each quantity with a range that moves a figure, by path; `figures` works them out with that at a path replaced.

    Where no run is possible at an end, the range is halved towards the value until one is.
    """
    stated = figures(None, 0.0)
    found = {}
    for path, quantity in quantities.items():
        if is_ranged(path, quantity):
            (start, low), (stop, high) = (_at_end(path, quantity, end, figures, stated) for end in (quantity.low, quantity.high))
            if any((*low, *high)):
                found[path] = Response(quantity, (start, stop), low, high)
    return found


def _at_end(
    path: str, quantity: Quantity, end: float, figures: Callable[[str | None, float], Figures], stated: Figures
) -> tuple[float, Figures]:
    value = float(quantity)
    for _ in range(HALVINGS):
        try:
            return end, tuple(log(one / other) for one, other in zip(figures(path, end), stated))
        except Infeasible:
            end = (end + value) / 2
    return value, tuple(0.0 for _ in stated)


def of_run(origin: Origin | None) -> dict[str, Response]:
    """Responses of a run's energy (J) and time (s) to what shaped it; none for a run that only kernels make."""
    if origin is None:
        return {}

    def figures(path: str | None, value: float) -> Figures:
        phases = origin.phases_with(path, value)
        return _total(phases)

    return responses(origin.quantities(), figures)


def _total(phases: Sequence[Phase]) -> Figures:
    return sum(map(joules, phases)), sum(map(seconds, phases))


def shaped(figures: Mapping[str, np.ndarray], known: Mapping[str, Response], sampler: Sampler) -> dict[str, np.ndarray]:
    """Samples of energy, time and power with what all responses do to them."""
    if not known:
        return dict(figures)
    energy, time = np.exp(sum(response.change(sampler[path]) for path, response in known.items()))
    found = {"energy": figures["energy"] * energy, "time": figures["time"] * time}
    return found | {"power": found["energy"] / found["time"]}
