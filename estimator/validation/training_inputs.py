"""What is known of how published training runs were carried out, and within what an input lies that no publication states."""

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from estimator.quantity import Quantity

STALLS = "stalls"  # assumed of every run: what a run loses is part of its practice, not one of its inputs
PUBLISHED, ASSUMED = "inputs published", "an input assumed"


@cache
def facts() -> dict[str, Any]:
    """The tables of training_runs.toml."""
    return tomllib.loads(Path(__file__).with_name("training_runs.toml").read_text(encoding="utf-8"))


def known_of(name: str) -> dict[str, Any]:
    """What is known of how a model was trained: the table whose `match` begins its name, over the default.

    `assumed` holds the range of each input that the table either lists there or leaves to the default.
    """
    default = facts()["default"]
    found = [table for table in facts()["run"] if name.lower().startswith(table["match"])]
    own = max(found, key=lambda table: len(table["match"])) if found else {}
    ranges = {key: one for key, one in default["assumed"].items() if key not in own}
    return default | own | {"assumed": ranges | own.get("assumed", {})}


def stated_by_row(how: Mapping[str, Any], name: str, value: Any) -> dict[str, Any]:
    """The same with an input that the row states itself."""
    return {**how, name: value, "assumed": {key: one for key, one in how["assumed"].items() if key != name}}


def with_stand_in(how: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """The same where a dense decoder stands for a model of this `kind`, "dense" or "experts"."""
    return {**how, "assumed": {**how["assumed"], "model": facts()["approximated"][kind]}}


def group_of(how: Mapping[str, Any]) -> str:
    """Whether all inputs of a run were published."""
    return ASSUMED if set(how["assumed"]) - {STALLS} else PUBLISHED


def quantity_of(how: Mapping[str, Any], name: str) -> Quantity:
    """An assumed number with its range."""
    one = how["assumed"][name]
    return Quantity(how.get(name, one.get("value", 1.0)), "1", one["low"], one["high"], one["source"])


def said_of(how: Mapping[str, Any]) -> tuple[str, ...]:
    """The assumed inputs in words."""
    said = []
    for name, one in how["assumed"].items():
        if name == "practice":
            said.append(f"practice {how[name]} (or {', '.join(one['others'])})")
        elif name != STALLS:
            found = quantity_of(how, name)
            value = f"{name} {found:g} (" if name in how else f"{name} ("
            said.append(f"{value}{found.low:g} to {found.high:g}{'' if name in how else ' times'})")
    return tuple(said)
