"""From what a caller says about devices and places to a site and a footprint."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from estimator.errors import InvalidSetting
from estimator.hardware.cluster import Cluster, cluster_of
from estimator.hardware.schema import Profile
from estimator.model.architecture import Architecture
from estimator.run.context import check_positions
from estimator.run.entry import COMMUNICATION
from estimator.run.facility import Facility
from estimator.run.layout import best_layout
from estimator.run.meter import meter_of
from estimator.run.parallel import Parallel
from estimator.run.plan import Plan
from estimator.run.practice import Practice
from estimator.run.repeat import joules, seconds
from estimator.run.settings import OPTIMIZERS, Training
from estimator.run.site import Site
from estimator.run.stage import Stage
from estimator.run.training_plan import site_of, usual_practice
from estimator.run.transformer import shape_of
from estimator.units import require_count


def placed(
    model: Architecture,
    run: Training,
    profile: Profile,
    stack: str | None,
    parallel: Parallel | None,
    devices: int | None,
    cluster: str | Cluster | None,
    practice: str | Practice | None,
) -> tuple[Training, Site]:
    """The run and the site as given; `devices` without a layout get the fastest one that fits, and the run its micro-batch."""
    if not isinstance(run.optimizer, str):
        kind = type(run.optimizer).__name__
        raise InvalidSetting(f"optimizer={kind}(…) is for a module with inputs; {model.name} takes a name: {', '.join(OPTIMIZERS)}")
    if devices is not None:
        require_count("devices", devices)
    if parallel is not None and devices is not None and parallel.devices != devices:
        raise InvalidSetting(f"devices={devices}, but parallel={parallel} takes {parallel.devices}; give one of them, or both alike")
    if parallel is None and devices is not None and devices > 1:
        check_positions(model, run.length, f"sequence_tokens={run.length}")
        site = site_of(profile, stack, Parallel(data=devices), cluster, practice)
        found = best_layout(shape_of(model), run, site, devices)
        return found.run, replace(site, parallel=found.parallel)
    stack = stack or ("eager" if practice is None and (parallel is None or parallel.devices == 1) else None)
    return run, site_of(profile, stack, parallel, cluster, practice)


def of_all_stages(
    stages: Iterable[Stage],
    profile: Profile,
    parallel: Parallel | None,
    devices: int | None,
    cluster: str | Cluster | None,
    practice: str | Practice | None,
) -> dict[str, Any]:
    """The cluster and the practice that stages share, of which some may take one device: those of the stage with most."""
    most = max(stage.count(parallel, devices) for stage in stages)
    if most > 1:
        cluster, practice = cluster or cluster_of(profile), practice or usual_practice(most)
    return {"cluster": cluster, "practice": practice}


def check_unplaced(run: object, **settings: Any) -> None:
    """Refuse what only the training of an architecture takes, lest the answer be for one device without a word."""
    for name, value in settings.items():
        if value is not None and (name, value) != ("devices", 1):
            raise InvalidSetting(
                f"{name}={value!r}: only Training of an architecture takes it, not {type(run).__name__} of what was given; "
                "spread inference with parallel=Parallel(tensor=…), served models also with Serving(replicas=…)"
            )


def with_facility(plan: Plan, profile: Profile, facility: Facility | str | bool | None, cluster: Cluster | None) -> Plan:
    """The plan with what it takes at the meter; unchanged where no facility is wanted."""
    if facility is None or facility is False:
        return plan
    where = facility if isinstance(facility, Facility) else Facility() if facility is True else Facility(place=facility)
    time = sum(map(seconds, plan.phases))
    exchanging = sum(seconds(phase) for phase in plan.phases if phase.name == COMMUNICATION) / time
    found = meter_of(profile, plan.devices, where, cluster, exchanging).read(sum(map(joules, plan.phases)), time)
    note = f"at the meter: {found.host}, PUE {found.pue:g} ({where.place}), grid {where.grid}"
    return replace(plan, facility=found, notes=[*plan.notes, note])
