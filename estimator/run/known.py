"""What was worked out before, so that layouts of one run share it: kernels, their demands, and priced phases."""

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from estimator.run.phase import Phase
from estimator.run.repeat import condensed

T = TypeVar("T")


class Known:
    """Results by key. All belong to one model, run and site, of which only these change: layout, micro-batch, recomputation, sharding,
    and numbers of the practice and the network.

    `sums`: phases are kept as their sums alone, which is all that a search compares.
    """

    def __init__(self, *, sums: bool = False) -> None:
        self._kept: dict[Hashable, Any] = {}
        self._sums = sums

    def of(self, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` returns, made once for each key."""
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]

    def phase(self, key: Hashable, make: Callable[[], Phase]) -> Phase:
        """The phase that `make` prices, once for each key."""
        return self.of(key, lambda: condensed(make()) if self._sums else make())
