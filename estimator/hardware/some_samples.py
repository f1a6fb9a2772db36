"""A profile of many possible chips at once, cut down to some of its samples: searches go on only where there is something to find."""

from typing import Any

import numpy as np

PLAIN = (float, int, str, type(None))  # numbers and names that all samples share


class SomeSamples:
    """`chip`, a profile whose numbers are arrays or floats, at the entries `index` of its arrays. Sections are cut down when first read."""

    def __init__(self, chip: Any, index: Any) -> None:
        self._chip, self._index = chip, index

    def __getattr__(self, name: str) -> Any:
        self.__dict__[name] = found = at(getattr(self._chip, name), self._index)
        return found


def at(found: Any, index: Any) -> Any:
    """Numbers, or what holds them, at the entries `index` of all arrays."""
    if isinstance(found, np.ndarray):
        return found[..., index] if found.ndim else found
    if isinstance(found, PLAIN):
        return found
    return {key: at(item, index) for key, item in found.items()} if isinstance(found, dict) else SomeSamples(found, index)
