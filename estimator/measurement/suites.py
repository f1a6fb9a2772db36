"""The work to be measured as rows of the tidy schema without results: `suites.toml`, its grids multiplied out.

A row is all that there is of a piece of work: `work/` runs it from its columns, `validation` predicts it from the same columns.
"""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from estimator.errors import unknown_name
from estimator.validation.rows import Row

FILE = Path(__file__).with_name("suites.toml")
UNNAMED = ("kind", "unit", "loops", "fma_per_element", "host_bound_flag")  # columns that a row's name leaves out


def suite_names() -> list[str]:
    """The suites in the order in which they are measured: idle comes first, before anything holds the device."""
    return list(_tables())


def rows_of(names: Sequence[str] = ()) -> list[Row]:
    """Rows of the named suites, of all of them where none is named; raises `UnknownName`."""
    tables = _tables()
    for name in names:
        if name not in tables:
            raise unknown_name("suite", name, tables, "Leave it out to measure all of them.")
    chosen = [name for name in tables if not names or name in names]
    return [row_of(name, columns) for name in chosen for table in tables[name] for columns in _grid(table)]


def row_of(suite: str, columns: Mapping[str, Any]) -> Row:
    """A row without results, named after what it holds."""
    cells = {name: _cell(value) for name, value in columns.items()}
    said = [value if isinstance(columns[column], str) else f"{column}={value}" for column, value in cells.items() if column not in UNNAMED]
    name = " ".join(said)
    return Row(f"{suite}.csv", 0, {"row_id": f"{suite}: {name}"} | cells)


def _cell(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _grid(table: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    choices = [value if isinstance(value, list) else [value] for value in table.values()]
    for values in product(*choices):
        columns: dict[str, Any] = {}
        for names, value in zip(table, values):
            columns |= dict(zip(names.split(","), value if isinstance(value, list) else [value]))
        yield columns


def _tables() -> dict[str, list[dict[str, Any]]]:
    return tomllib.loads(FILE.read_text(encoding="utf-8"))
