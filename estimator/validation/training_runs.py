"""Suite "training-runs": published runs on many devices, by tokens, model and what is known of how they were carried out."""

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from estimator.errors import EstimatorError, UnknownName
from estimator.hardware.schema import Profile
from estimator.model.architecture import Architecture, list_models, load_architecture
from estimator.run.facility import Facility
from estimator.run.layout import best_layout
from estimator.run.meter import Meter, meter_of
from estimator.run.parallel import Parallel
from estimator.run.settings import Training
from estimator.run.site import Site
from estimator.run.training_memory import memory_of
from estimator.run.training_parallel import run_phases
from estimator.run.training_plan import notes_of, site_of
from estimator.run.transformer import Shape, shape_of
from estimator.validation.hardware import profile_of
from estimator.validation.metered import Metered
from estimator.validation.rows import NotPredicted, Row

STATED = (
    "batch",
    "recompute",
    "sharding",
    "interleave",
    "schedule",
    "sequence_parallel",
)  # what a publication may say; the rest is searched
LIQUID = "hgx-h100-liquid"


@cache
def facts() -> dict[str, Any]:
    """The tables of training_runs.toml."""
    return tomllib.loads(Path(__file__).with_name("training_runs.toml").read_text(encoding="utf-8"))


def known_of(name: str) -> dict[str, Any]:
    """What is known of how a model was trained: the table whose `match` begins its name, over the default."""
    found = [table for table in facts()["run"] if name.lower().startswith(table["match"])]
    return facts()["default"] | (max(found, key=lambda table: len(table["match"])) if found else {})


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
    model, share = architecture_for(name, row.number("active_params_b", row.number("params_b")))
    devices = int(row.number("n_gpus", how["devices"]))
    return _run(row, shape_of(model), how, profile, devices, tokens * share)


def architecture_for(name: str, billions: float) -> tuple[Architecture, float]:
    """The bundled architecture of a model, or the decoder nearest in size; and its own size as a multiple of that."""
    plain = name.lower().split(" (")[0].strip()
    wanted = facts()["names"].get(plain) or plain.replace(" ", "-").removesuffix("-core")
    try:
        return load_architecture(wanted), 1.0
    except UnknownName:
        pass
    sizes = {one: _decoder_size(one) for one in list_models()}
    active = billions * 1e9  # exact: giga
    nearest = min((one for one, size in sizes.items() if size), key=lambda one: abs(sizes[one] / active - 1))
    return load_architecture(nearest), active / sizes[nearest]


@cache
def _decoder_size(name: str) -> float:
    """Parameters of a dense decoder without recurrent layers or a tower; 0 for anything else."""
    model = load_architecture(name)
    dense = model.kind == "causal-lm" and model.active_parameters == model.parameters and not model.state_bytes
    return float(model.parameters) if dense else 0.0


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
    return Metered(tuple(phases), site.profile, 1.0, devices, *meter(row, site, devices), clocks, tuple(notes))


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
    degrees = {name: how["layout"].get(name, 1) for name in ("tensor", "pipeline")}
    data = max(devices // (degrees["tensor"] * degrees["pipeline"]), 1)
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
    return Metered(tuple(phases), site.profile, 1.0, devices, *meter(row, site, devices))
