"""The bundled models' configurations, read from TOML."""

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from estimator.errors import unknown_name

CONFIGS = Path(__file__).parents[1] / "configs"
ABSENT = "none"  # TOML has no word for a value that is left out on purpose
LABELS = {"like", "aliases", "source", "status", "published", "decisions", "max_positions", "tower"}


@cache
def entries() -> Mapping[str, Mapping[str, Any]]:
    """Every model's table by name; one that is `like` another starts from it, its `config` merged value by value."""
    return {name: _resolve(name, _tables()) for name in _tables()}


def entry(name: str) -> Mapping[str, Any]:
    """One model's table; raises `UnknownName`."""
    if name not in entries():
        raise unknown_name("model configuration", name, entries(), "Add a table to estimator/model/configs.")
    return entries()[name]


def variant(name: str) -> dict[str, Any] | None:
    """What is a model's own where all its sizes are those of the model that it is like; else None."""
    own = _tables()[name]
    if "like" not in own or not set(own) <= LABELS:
        return None
    labels = {key: entry(name)[key] for key in ("source", "status", "aliases")}
    return {"like": own["like"], "name": name, **labels, **{key: own[key] for key in ("decisions", "max_positions") if key in own}}


@cache
def tower(name: str) -> Mapping[str, Any]:
    """The table of a vision tower; raises `UnknownName`."""
    tables = tomllib.loads((CONFIGS / "vision" / "towers.toml").read_text(encoding="utf-8"))
    if name not in tables:
        raise unknown_name("vision tower", name, tables, "Add a table to estimator/model/configs/vision.")
    return tables[name]


@cache
def _tables() -> dict[str, dict[str, Any]]:
    tables: dict[str, dict[str, Any]] = {}
    for path in sorted(CONFIGS.glob("*.toml")):
        tables |= tomllib.loads(path.read_text(encoding="utf-8"))
    return tables


def _resolve(name: str, tables: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    own = tables[name]
    base = _resolve(own["like"], tables) if "like" in own else {}
    config = base.get("config", {}) | {key: None if value == ABSENT else value for key, value in own.get("config", {}).items()}
    return base | own | {"config": config}
