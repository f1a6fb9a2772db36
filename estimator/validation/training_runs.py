"""Suite "training-runs": published runs on many devices, by tokens, model and what is known of how they were carried out."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from math import log, prod
from typing import Any

from estimator.errors import EstimatorError, UnknownName
from estimator.hardware.schema import Profile
from estimator.model.architecture import Architecture, list_models, load_architecture
from estimator.run.facility import Facility
from estimator.run.layout import best_layout
from estimator.run.meter import Meter, meter_of
from estimator.run.parallel import Parallel
from estimator.run.phase import repeated
from estimator.run.settings import Training
from estimator.run.site import Site
from estimator.run.training_memory import memory_of
from estimator.run.training_parallel import run_phases, step_phases
from estimator.run.training_plan import notes_of, site_of, utilization
from estimator.run.transformer import Shape, shape_of
from estimator.validation.hardware import profile_of
from estimator.validation.metered import Metered, Unknown
from estimator.validation.rows import NotPredicted, Row
from estimator.validation.training_inputs import PUBLISHED, facts, group_of, known_of, said_of, stated_by_row, with_stand_in
from estimator.validation.training_stages import in_a_row, stages_of
from estimator.validation.unknown_inputs import unknown_responses

STATED = (
    "batch",
    "recompute",
    "sharding",
    "interleave",
    "schedule",
    "sequence_parallel",
)  # what a publication may say; the rest is searched
LIQUID = "hgx-h100-liquid"


def predict(row: Row) -> Metered:
    """Energy and time of a published run, its layout as published or searched, its losses those of its software's practice."""
    if "mlperf" in row.file:
        return _node(row)
    name, tokens = row.text("model_id"), row.number("tokens", 0.0)
    if not tokens:
        raise NotPredicted("the number of tokens or samples is not published")
    if row.number("params_b", 0.0) <= 0:
        raise NotPredicted("neither the architecture nor the number of parameters is published")
    how, profile = known_of(name), profile_of(row)
    total = row.number("params_b")
    active = row.number("active_params_b", total)
    if row.text("n_gpus"):
        how = stated_by_row(how, "devices", row.whole("n_gpus"))
    if any(_model(name, one, active, total)[1] != 1 for one, _ in stages_of(how, tokens)):
        how = with_stand_in(how, "experts" if active < total else "dense")

    def priced(other: Mapping[str, Any]) -> Metered:
        return in_a_row([_stage(row, one, profile, *_model(name, one, active, total), part) for one, part in stages_of(other, tokens)])

    found = priced(how)
    unknown = Unknown(group_of(how), said_of(how), cache(lambda: unknown_responses(how, found, priced)))
    return replace(found, unknown=unknown)


def _model(name: str, how: Mapping[str, Any], active: float, total: float) -> tuple[Architecture, float]:
    """What `architecture_for` finds for a stage, in which a model that grows has a size of its own."""
    return architecture_for("", how["billions"]) if "billions" in how else architecture_for(name, active, total)


def _stage(row: Row, how: Mapping[str, Any], profile: Profile, model: Architecture, share: float, tokens: float) -> Metered:
    return _run(row, shape_of(model), how, profile, int(how["devices"]), tokens * share)


def architecture_for(name: str, active: float, total: float | None = None) -> tuple[Architecture, float]:
    """The bundled architecture of a model, or the decoder nearest in size; and its own size as a multiple of that.

    `active` and `total` parameters in billions; a mixture of experts is nearest to another one.
    """
    plain = name.lower().split(" (")[0].strip()
    wanted = facts()["names"].get(plain) or plain.replace(" ", "-").removesuffix("-core")
    try:
        return load_architecture(wanted), 1.0
    except UnknownName:
        pass
    sizes = active * 1e9, (total or active) * 1e9  # exact: giga
    alike = [one for one in map(load_architecture, list_models()) if _is_mixture(one.name) == (sizes[0] < sizes[1])]
    nearest = min(alike, key=lambda one: abs(log(one.active_parameters / sizes[0])) + abs(log(one.parameters / sizes[1])))
    return nearest, sizes[0] / nearest.active_parameters


@cache
def _is_mixture(name: str) -> bool | None:
    """Whether a decoder's layers have experts; None for what is no decoder, or is read for its pictures as well."""
    model = load_architecture(name)
    if model.kind != "causal-lm" or "training" not in model.programs:
        return None
    mixture = shape_of(model).experts > 1
    return mixture if mixture or model.active_parameters == model.parameters else None


def _run(row: Row, shape: Shape, how: Mapping[str, Any], profile: Profile, devices: int, tokens: float) -> Metered:
    run = Training(
        tokens=tokens,
        sequence_tokens=min(how["sequence"], shape.model.max_positions or how["sequence"]),
        global_batch=max(round(how["tokens"] / how["sequence"]), 1),
        **{name: how[name] for name in STATED if name in how},
        precision=how.get("precision") or ("bf16" if shape.model.format == "fp32" else None),
    )
    site = _site(profile, how["practice"], devices)
    run, site = _laid_out(shape, run, site, how, devices)
    phases = run_phases(shape, run, site)
    notes = notes_of(shape, run, site, memory_of(shape, run, site))
    clocks = 1.0 if row.text("time_s_per_unit") else float(devices)
    used = _step_utilization(shape, run, site)
    return Metered(tuple(phases), site.profile, 1.0, devices, *meter(row, site, devices), clocks, tuple(notes), used)


def _step_utilization(shape: Shape, run: Training, site: Site) -> float:
    """MFU of a step, as publications state it: without what the run loses besides."""
    phases = [repeated(phase, 1, site.parallel.devices) for phase in step_phases(shape, run, site)]
    return utilization(phases, site, run.precision or shape.model.format)


def _site(profile: Profile, practice: str, devices: int) -> Site:
    try:
        return site_of(profile, None, Parallel(data=devices), None, practice)
    except EstimatorError as error:
        raise NotPredicted(str(error)) from None


def _laid_out(shape: Shape, run: Training, site: Site, how: Mapping[str, Any], devices: int) -> tuple[Training, Site]:
    """The fastest layout with what was published of it and a batch that it divides; of that, what fits in no other way is left out."""
    stated, degrees = [name for name in STATED if name in how], _published(how, devices)
    unit = run.batch * degrees.data if degrees else devices
    wanted = replace(run, global_batch=max(round(run.step_samples / unit), 1) * unit if degrees else _divisible(run.step_samples, unit))
    for fixed in (stated, [name for name in stated if name != "recompute"], [name for name in stated if name == "sharding"], []):
        try:
            found = best_layout(shape, wanted, site, devices, fixed=fixed, parallel=degrees)
        except EstimatorError:
            if degrees:  # it ran, whatever is counted here
                return wanted, replace(site, parallel=degrees)
            continue
        return replace(found.run, tokens=run.tokens), replace(site, parallel=found.parallel)
    raise NotPredicted(f"{shape.model.name} does not fit on {devices} × {site.profile.name} in any layout")


def _published(how: Mapping[str, Any], devices: int) -> Parallel | None:
    """The degrees of parallelism that were published."""
    if "layout" not in how:
        return None
    degrees = {name: how["layout"].get(name, 1) for name in ("tensor", "pipeline", "sequence")}
    data = max(devices // prod(degrees.values()), 1)
    return Parallel(**degrees, data=data, expert=how["layout"].get("expert", 1))


def _divisible(batch: int, devices: int) -> int:
    """A batch near `batch` that replicas of several sizes can share: a multiple of `devices` halved until at most a quarter of it."""
    unit = devices
    while unit > batch / 2 / 2 and unit % 2 == 0:
        unit //= 2
    return max(round(batch / unit), 1) * unit


def meter(row: Row, site: Site, devices: int) -> tuple[Meter | None, float]:
    """The meter that was read, or else the joules that were counted for each joule of the devices, by what the row says was measured."""
    scope, pue = row.text("energy_scope").lower(), row.number("pue", 1.0)
    if "wall" in scope or "system" in scope:
        place = Facility(place="wall", pue=pue, host=LIQUID if "immersion" in scope else None)
        return meter_of(site.profile, devices, place, site.cluster if "system" in scope else None), 1.0
    return None, pue if "pue" in scope and "no pue" not in scope else 1.0


def _node(row: Row) -> Metered:
    """MLPerf: one node of eight, read at the wall; joules and seconds of all samples that were processed."""
    known = facts()["mlperf"]
    task = row.text("task").removeprefix("MLPerf Training ")
    if task not in known:
        raise NotPredicted(f"no definition of the benchmark {task!r}")
    how, devices = known[task], row.whole("n_gpus")
    shape, profile = shape_of(load_architecture(how["model"])), profile_of(row)
    degrees = how.get("layout", {})
    data = devices // degrees.get("tensor", 1)
    batch = row.whole("batch_size")
    run = Training(
        steps=max(round(row.positive("processed_samples") / batch), 1),
        batch=max(batch // data // row.whole("gradient_accumulation_steps", 1), 1),
        global_batch=batch,
        sequence_tokens=max(round(how.get("sequence", 1) * how.get("filled", 1)), 1),
        precision=how["precision"],
        trainable=how.get("trainable", "all"),
        optimizer=how.get("optimizer", "adamw"),
        evaluation_every=how.get("evaluation_every", 0),
        evaluation_samples=how.get("evaluation_samples", 0),
    )
    site = replace(_site(profile, known["practice"], devices), parallel=Parallel(data=data, **degrees))
    phases = run_phases(shape, run, site)
    used = _step_utilization(shape, run, site)
    return Metered(tuple(phases), site.profile, 1.0, devices, *meter(row, site, devices), mfu=used, unknown=Unknown(PUBLISHED))
