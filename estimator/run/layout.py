"""Finds how to spread a training run: of the layouts that divide and fit, the best is taken, and it says why.

Those are left out of the pricing that a lower bound of their time already rules out.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import inf
from typing import Any

from estimator.errors import EstimatorError, Infeasible, InvalidSetting, unknown_name
from estimator.run.known import Known
from estimator.run.layout_bound import least_seconds
from estimator.run.parallel import Parallel
from estimator.run.repeat import joules, seconds
from estimator.run.settings import Training
from estimator.run.site import Site
from estimator.run.training_memory import choices, memory_of, needed, usable
from estimator.run.training_parallel import run_phases
from estimator.run.transformer import Shape, shape_of
from estimator.units import format_si

OBJECTIVES = ("time", "energy")
STAGES = (1, 2, 3, 4, 5, 6, 8, 10, 12, 14, 16, 20, 24, 32)  # exact: depths tried
MICRO = (1, 2, 4, 8, 16, 32)  # exact: micro-batches tried
SHARED = ("zero1", "zero3")  # what replicas share, as tried
SHOWN = 3  # exact: rejected layouts that are named


@dataclass(frozen=True)
class Layout:
    """A layout that fits: degrees of parallelism, the run with its micro-batch, recomputation and sharding, and its cost.

    `energy` in J at the devices, `time` in s, `memory` in B of each device; `why` says what it beat and what did not fit.
    """

    parallel: Parallel
    run: Training
    energy: float
    time: float
    memory: float
    why: str

    def __str__(self) -> str:
        stretches = f"interleave {self.run.interleave}, " if self.run.interleave > 1 else ""
        tokens = ", sequence parallelism" if self.run.sequence_parallel else ""
        how = f"micro-batch {self.run.batch}, {stretches}recomputation {self.run.recompute}, sharding {self.run.sharding}{tokens}"
        return f"{self.parallel}; {how}: {format_si(self.energy, 'J')} in {format_si(self.time, 's')}. {self.why}"


def best_layout(
    shape: Shape,
    run: Training,
    site: Site,
    devices: int,
    objective: str = "time",
    fixed: Sequence[str] = (),
    parallel: Parallel | None = None,
) -> Layout:
    """The layout of least "time" or "energy" for `run` on `devices`; settings named in `fixed` stay as the run has them.

    `parallel`: degrees that stay, too, so that micro-batch, recomputation, sharding, interleaving and sequence parallelism are chosen.
    Raises `UnknownName` for another objective, `Infeasible` where nothing fits.
    """
    if objective not in OBJECTIVES:
        raise unknown_name("objective", objective, OBJECTIVES, "Pass one of these as objective=….")
    known = Known(sums=True)
    fitting, tight = _sorted_by_fit(shape, run, site, candidates(shape, run, site, devices, fixed, parallel))
    if objective == "time":  # no bound on energy is tight enough to leave layouts out
        bounds = [least_seconds(shape, one.run, replace(site, parallel=one.parallel), known) for one in fitting]
        fitting = [replace(one, time=bound) for one, bound in zip(fitting, bounds)]
    ranked: list[Layout] = []
    for one in sorted(fitting, key=lambda one: one.time):
        if one.time > _to_beat(ranked, objective):
            break
        ranked = sorted([*ranked, *_priced(shape, one, site, known)], key=lambda layout: (getattr(layout, objective), layout.energy))
    if not ranked:
        raise Infeasible(_nothing(shape, run, site, devices, tight))
    return replace(ranked[0], why=_why(ranked, objective, len(fitting), len(tight)) + _spared(shape, ranked[0], site))


def _sorted_by_fit(
    shape: Shape, run: Training, site: Site, every: Iterable[tuple[Parallel, list[Training]]]
) -> tuple[list[Layout], list[tuple[float, Parallel, Training]]]:
    """Layouts that fit into the devices' memory, not priced yet, and those that do not.

    One that fits is not tried with more recomputation: that costs time and joules, and saves nothing but memory.
    """
    fitting: list[Layout] = []
    tight = []
    room = usable(site)
    for parallel, several in every:
        here = replace(site, parallel=parallel)
        for one in several:
            memory = sum(memory_of(shape, one, here).values())
            if memory <= room:
                fitting.append(Layout(parallel, one, 0.0, 0.0, memory, ""))
                break
            tight.append((memory, parallel, one))
    return fitting, tight


def _to_beat(ranked: Sequence[Layout], objective: str) -> float:
    """What a layout must stay below to be the best, or the next best of other degrees, which `why` names."""
    others = [layout for layout in ranked if layout.parallel != ranked[0].parallel]
    return getattr(others[0], objective) if others else inf


def _priced(shape: Shape, layout: Layout, site: Site, known: Known) -> list[Layout]:
    """The layout with its cost; nothing where it cannot run."""
    one = replace(layout.run, steps=1, tokens=None, epochs=None, samples=None)
    try:
        phases = run_phases(shape, one, replace(site, parallel=layout.parallel), known)
    except EstimatorError:
        return []
    return [replace(layout, energy=sum(map(joules, phases)), time=sum(map(seconds, phases)))]


def candidates(
    shape: Shape, run: Training, site: Site, devices: int, fixed: Sequence[str] = (), only: Parallel | None = None
) -> Iterator[tuple[Parallel, list[Training]]]:
    """Every layout of `devices` that divides the model and the batch, or of `only`; each with less and less kept for backward."""
    batch = run.step_samples
    for parallel in _degrees(shape, site, devices) if only is None else [only]:
        for micro in [run.batch] if "batch" in fixed else MICRO:
            if batch % (micro * parallel.data):
                continue
            one = replace(run, batch=micro, global_batch=batch)
            for changes in _ways(shape, one, replace(site, parallel=parallel), fixed):
                how = [run.recompute] if "recompute" in fixed else choices(site)
                yield parallel, [replace(one, recompute=less, **changes) for less in how]


def _degrees(shape: Shape, site: Site, devices: int) -> Iterator[Parallel]:
    """Degrees of parallelism that divide the model, tensor parallelism inside a node."""
    node = site.cluster.node_devices if site.cluster else 1
    for tensor in (n for n in range(1, node + 1) if node % n == 0 and shape.heads % n == 0):
        for pipeline in (n for n in STAGES if n <= shape.layers and devices % (tensor * n) == 0):
            data = devices // (tensor * pipeline)
            for expert in _experts(shape, tensor * data):
                yield Parallel(tensor=tensor, pipeline=pipeline, data=data, expert=expert)


def _ways(shape: Shape, run: Training, site: Site, fixed: Sequence[str]) -> Iterator[dict[str, Any]]:
    """What else a layout leaves open: what replicas share, stretches of layers, who shares the tokens between products."""
    parallel = site.parallel
    shared = [how for how in SHARED if how != "zero3" or parallel.pipeline == 1]
    several = _stretches(shape, parallel.pipeline, run.step_samples // (run.batch * parallel.data), run.schedule == "1f1b")
    splits = [True, False] if float(site.practice.sequence_parallel) else [False]
    tried: dict[str, list[Any]] = {
        "sharding": shared,
        "interleave": several,
        "sequence_parallel": splits if parallel.tensor > 1 else [False],
    }
    tried |= {name: [getattr(run, name)] for name in tried if name in fixed}
    if run.sharding != "zero3" or parallel.pipeline == 1 or "sharding" not in fixed:
        yield from (dict(zip(tried, values)) for values in product(*tried.values()))


def _stretches(shape: Shape, pipeline: int, microbatches: int, plain: bool) -> list[int]:
    """Stretches of layers in each stage: one, or as many as it has layers, where micro-batches go through in whole rounds."""
    most = shape.layers // pipeline if pipeline > 1 and microbatches % pipeline == 0 and plain else 1
    return [1, most] if most > 1 else [1]


def _experts(shape: Shape, ranks: int) -> list[int]:
    fits = [n for n in range(1, shape.experts + 1) if shape.experts % n == 0 and ranks % n == 0]
    return fits[-2:] if shape.experts > 1 else [1]


def _why(ranked: Sequence[Layout], objective: str, fitting: int, tight: int) -> str:
    best, others = ranked[0], [layout for layout in ranked[1:] if layout.parallel != ranked[0].parallel]
    said = f"Least {objective} of {fitting} layouts that fit ({tight} do not)"
    if others:
        more = getattr(others[0], objective) / getattr(best, objective) - 1
        said += f"; next: {others[0].parallel} with micro-batch {others[0].run.batch}, {more:.1%} more"
    return said + "."


def _spared(shape: Shape, best: Layout, site: Site) -> str:
    """What recomputation is for."""
    if best.run.recompute == "none":
        return ""
    before = choices(site)[choices(site).index(best.run.recompute) - 1] if best.run.recompute in choices(site) else "none"
    without = needed(shape, replace(best.run, recompute=before), replace(site, parallel=best.parallel))
    return f" With recomputation {before} a device would need {without}."


def _nothing(shape: Shape, run: Training, site: Site, devices: int, tight: Sequence[tuple[float, Parallel, Training]]) -> str:
    if not tight:
        return (
            f"{devices} devices cannot share a batch of {run.step_samples} samples of {shape.model.name} ({shape.layers} layers, "
            f"{shape.heads} heads) evenly; choose a global batch that {devices} divides, or another number of devices"
        )
    memory, parallel, _ = min(tight, key=lambda one: one[0])
    return (
        f"{shape.model.name} does not fit on {devices} × {site.profile.name}: {parallel} comes nearest and needs {format_si(memory, 'B')} "
        f"on each of {format_si(float(site.profile.memory.capacity), 'B')}; use more devices"
    )


def nearest_layout(shape: Shape, run: Training, site: Site) -> str:
    """The fitting layout of as many devices, in words; or how many more devices it takes."""
    try:
        found = best_layout(shape, run, site, site.parallel.devices)
    except Infeasible as none:
        return str(none)
    stretches = f"interleave={found.run.interleave}, " if found.run.interleave > 1 else ""
    stretches += "sequence_parallel=True, " if found.run.sequence_parallel else ""
    return (
        f"the nearest that fits is {found.parallel} with batch={found.run.batch}, {stretches}recompute={found.run.recompute!r}, "
        f"sharding={found.run.sharding!r}"
    )


def layout_for(
    model, profile, devices: int, run: Training, cluster=None, practice=None, objective: str = "time", fixed: Sequence[str] = ()
) -> Layout:
    """`best_layout` of an architecture on devices of a kind."""
    from estimator.run.training_plan import site_of

    if run.stages:
        raise InvalidSetting("stages=…: each stage has a layout of its own; ask for one stage at a time, or give devices=… to estimate()")
    site = site_of(profile, None, Parallel(data=devices), cluster, practice)
    return best_layout(shape_of(model), run, site, devices, objective, fixed)
