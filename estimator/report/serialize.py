"""Phases as plain data and back, for the JSON of an estimate."""

from dataclasses import asdict
from typing import Any

from estimator.hardware.operating_point import OperatingPoint
from estimator.run.entry import Entry
from estimator.run.phase import Phase
from estimator.run.uncertainty import Uncertainty

KEYED = ("energy", "events")  # their keys are (component, event) pairs, which JSON cannot hold


def phase_to_dict(phase: Phase) -> dict[str, Any]:
    """A phase as dicts and lists."""
    entries = []
    for entry in phase.entries:
        table = {name: getattr(entry, name) for name in entry.__dataclass_fields__}
        entries.append(table | {name: [[*key, value] for key, value in table[name].items()] for name in KEYED})
    return {"name": phase.name, "steps": phase.steps, "point": asdict(phase.point), "entries": entries}


def phase_from_dict(table: dict[str, Any]) -> Phase:
    """The phase that `phase_to_dict` wrote."""
    entries = []
    for given in table["entries"]:
        keyed = {name: {(a, b): value for a, b, value in given[name]} for name in KEYED}
        entries.append(Entry(**given | keyed | {"layers": tuple(given["layers"])}))
    return Phase(table["name"], table["steps"], OperatingPoint(**table["point"]), tuple(entries))


def uncertainty_from_dict(table: dict[str, Any] | None) -> Uncertainty | None:
    """The uncertainty that was written as a dict, if any was."""
    return None if table is None else Uncertainty({name: tuple(values) for name, values in table["quantiles"].items()}, table["shares"])
