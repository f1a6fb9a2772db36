"""Reads pointwise.toml: vector and special-function FLOP per element, each counted from the formula in its note."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from estimator.errors import unknown_name


@dataclass(frozen=True, slots=True)
class PerElement:
    """FLOP per element: `vector` on the ordinary units, `special` on the special-function units; `note` is the formula."""

    vector: float
    special: float
    note: str


@cache
def sections() -> dict[str, dict[str, PerElement]]:
    """All entries by section: how the elements are counted, and under which name."""
    with Path(__file__).with_name("pointwise.toml").open("rb") as file:
        data = tomllib.load(file)
    tables = {name: table for name, table in data.items() if isinstance(table, dict)}
    return {section: {name: PerElement(**entry) for name, entry in table.items()} for section, table in tables.items()}


@cache
def flop_per_element(name: str) -> PerElement:
    """The entry of that name in any section; raises `UnknownName` if there is none."""
    for table in sections().values():
        if name in table:
            return table[name]
    known = [entry for table in sections().values() for entry in table]
    raise unknown_name("per-element entry", name, known, "Add it to pointwise.toml with the formula that it is counted from.")
