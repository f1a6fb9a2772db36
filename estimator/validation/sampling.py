"""Few rows instead of many, evenly spaced, so that they stand for all."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

from estimator.validation.rows import Row
from estimator.validation.suites import suite_of

Item = TypeVar("Item")


def sample(rows: Sequence[Row], limit: int | None) -> list[Row]:
    """At most `limit` rows of each suite, evenly spaced over it."""
    if limit is None:
        return list(rows)
    suites: dict[str, list[Row]] = {}
    for row in rows:
        suites.setdefault(suite_of(row), []).append(row)
    return [part[index * len(part) // min(limit, len(part))] for part in suites.values() for index in range(min(limit, len(part)))]


def evenly(items: Sequence[Item]) -> Iterator[Item]:
    """All items once, in an order of which every beginning is spread evenly over them (van der Corput, 1935): 0, ½, ¼, ¾, …"""
    bits = max(len(items) - 1, 0).bit_length()
    for count in range(2**bits):
        index = sum(((count >> bit) & 1) << (bits - 1 - bit) for bit in range(bits))
        if index < len(items):
            yield items[index]
