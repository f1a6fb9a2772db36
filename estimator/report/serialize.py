"""An estimate as plain data and back, for its JSON."""

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from estimator.hardware.operating_point import OperatingPoint
from estimator.run.entry import Entry
from estimator.run.facility import Footprint
from estimator.run.phase import Phase
from estimator.run.uncertainty import Uncertainty

if TYPE_CHECKING:
    from estimator.report.estimate import Estimate

KEYED = ("energy", "events")  # their keys are (component, event) pairs, which JSON cannot hold


def estimate_to_dict(estimate: "Estimate") -> dict[str, Any]:
    """All of it as dicts and lists; where there are stages, they hold the phases."""
    from estimator.report.interval import known

    apart = ("phases", "numbers", "spread", "stages")
    data = {name: getattr(estimate, name) for name in estimate.__dataclass_fields__ if name not in apart}
    data["spread"] = asdict(estimate.uncertainty) if known(estimate) else None
    data["facility"] = estimate.facility.to_dict() if estimate.facility else None
    data["stages"] = {name: estimate_to_dict(one) for name, one in estimate.stages.items()}
    return data | {"numbers": estimate.sources(), "phases": [phase_to_dict(phase) for phase in estimate.phases if not phase.stage]}


def estimate_from_dict(data: dict[str, Any]) -> "Estimate":
    """The estimate that `estimate_to_dict` wrote."""
    from estimator.report.estimate import Estimate, Source

    stages = {name: estimate_from_dict(one) for name, one in data.pop("stages", {}).items()}
    phases = [phase_from_dict(phase) for phase in data.pop("phases")]
    phases += [replace(phase, stage=name) for name, one in stages.items() for phase in one.phases]
    data["numbers"] = tuple(Source(**number) for number in data["numbers"])
    data["assumptions"] = tuple(data["assumptions"])
    data["facility"] = Footprint(**data["facility"]) if data.get("facility") else None
    data["spread"] = uncertainty_from_dict(data.get("spread"))
    return Estimate(**data, phases=tuple(phases), stages=stages)


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
