"""The bundled models' configurations, read from TOML."""

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from estimator.errors import unknown_name

CONFIGS = Path(__file__).parents[1] / "configs"
ABSENT = "none"  # TOML has no word for a value that is left out on purpose


@cache
def entries() -> Mapping[str, Mapping[str, Any]]:
    """Every model's table by name; one that is `like` another starts from it, its `config` merged value by value."""
    tables: dict[str, dict[str, Any]] = {}
    for path in sorted(CONFIGS.glob("*.toml")):
        tables |= tomllib.loads(path.read_text(encoding="utf-8"))
    return {name: _resolve(name, tables) for name in tables}


def entry(name: str) -> Mapping[str, Any]:
    """One model's table; raises `UnknownName`."""
    if name not in entries():
        raise unknown_name("model configuration", name, entries(), "Add a table to estimator/model/configs.")
    return entries()[name]


def _resolve(name: str, tables: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    own = tables[name]
    base = _resolve(own["like"], tables) if "like" in own else {}
    config = base.get("config", {}) | {key: None if value == ABSENT else value for key, value in own.get("config", {}).items()}
    return base | own | {"config": config}
