"""What a benchmark's code says about all its rows and the rows do not say: protocols.toml."""

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from estimator.validation.rows import Row


def protocol_of(row: Row) -> dict[str, Any]:
    """The table of the benchmark that a row is from; empty where nothing is known of it."""
    source = row.text("source").lower()
    return next((table for name, table in tables()["benchmark"].items() if name in source), {})


def entry_of(row: Row, kind: str) -> dict[str, Any]:
    """The first entry of a list of the row's protocol whose columns all match (as beginnings of words); empty where none does."""
    return next((entry for entry in protocol_of(row).get(kind, ()) if _matches(row, entry["columns"])), {})


def stated(row: Row) -> Row:
    """The row with the columns that its benchmark's code states and it does not hold itself."""
    known = entry_of(row, "states").get("sets", {})
    missing = {column: value for column, value in known.items() if not row.text(column)}
    return replace(row, columns={**row.columns, **missing}) if missing else row


def _matches(row: Row, columns: Mapping[str, str]) -> bool:
    return all(row.text(column).upper().startswith(value.upper()) for column, value in columns.items())


@cache
def tables() -> dict[str, Any]:
    """The meter `nvml`, and what is known of each `benchmark`, by a part of its source's name."""
    return tomllib.loads(Path(__file__).with_name("protocols.toml").read_text(encoding="utf-8"))
