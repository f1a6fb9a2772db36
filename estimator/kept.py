"""Remembers what was worked out from objects that are costly to compare, by which objects they are."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

Result = TypeVar("Result")


def kept(most: int) -> Callable[[Callable[..., Result]], Callable[..., Result]]:
    """Memoise a pure function of immutable arguments by their identity; the latest `most` results stay.

    The arguments stay with their results, so no other object can take the identity of one of them.
    """

    def remember(function: Callable[..., Result]) -> Callable[..., Result]:
        found: dict[tuple[int, ...], tuple[tuple[Any, ...], Result]] = {}

        @wraps(function)
        def call(*given: Any) -> Result:
            key = tuple(map(id, given))
            known = found.get(key)
            if known is None:
                known = given, function(*given)
                while len(found) >= most:
                    found.pop(next(iter(found)), None)
                found[key] = known
            return known[1]

        return call

    return remember
