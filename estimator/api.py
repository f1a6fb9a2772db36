"""The front door: `estimate` and `compare`. The one file in which every floor meets."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any, get_args

from estimator.errors import InvalidSetting, MissingInputs, unknown_name
from estimator.hardware.catalogue import load_profile
from estimator.hardware.cluster import Cluster
from estimator.hardware.schema import Profile
from estimator.model.architecture import Architecture, load_architecture
from estimator.model.trace import Trace
from estimator.model.transform import route
from estimator.report.assemble import assemble
from estimator.report.estimate import Estimate
from estimator.report.staged import combined
from estimator.run.diffusion import Diffusion
from estimator.run.facility import Facility
from estimator.run.packed import packed
from estimator.run.parallel import Parallel
from estimator.run.placement import check_unplaced, of_all_stages, placed, with_facility
from estimator.run.plan import Run, plan, plan_training, usual_stack
from estimator.run.practice import Practice
from estimator.run.serving import Serving
from estimator.run.settings import Inference, Training
from estimator.run.stack import load_stack
from estimator.units import require_count

SWEPT = ("weights", "routing", "max_positions", "devices", "cluster", "practice", "facility")  # what `sweep` hands on to `estimate`
KEPT = 16  # exact: named models that are kept at hand
Hardware = str | Path | Mapping[str, Any] | Profile


def estimate(
    model: Any,
    hw: Hardware = "H100",
    run: Run | None = None,
    *,
    parallel: Parallel | None = None,
    inputs: Any = None,
    stack: str | None = None,
    weights: str | None = None,
    routing: str | float = "balanced",
    max_positions: int | None = None,
    devices: int | None = None,
    cluster: str | Cluster | None = None,
    practice: str | Practice | None = None,
    facility: Facility | str | bool | None = None,
) -> Estimate:
    """Predict the energy of running `model` on `hw`; nothing is run on real hardware.

    `model`: a bundled architecture name (`list_models()`), an `Architecture`, a Hugging Face configuration or model, any
    `torch.nn.Module` together with example `inputs` (a tensor, a tuple of positional or a dict of keyword arguments; real,
    meta or fake), or a `Trace`, or the path of its `.json`. `hw`: a profile name or alias, a path to a TOML file, a mapping or a `Profile`.
    `run`: `Inference` (default), `Serving`, `Training` (see its `stages`) or `Diffusion` (default for diffusion pipelines); `parallel`
    spreads it over devices, see `Parallel`. `stack`: "eager", "pipeline", "compiled", "serving", "vllm-0.5"; by default serving for
    generating language models, pipeline for diffusion, else eager. `weights`: how inference holds the weights of matrix products, "int8",
    "int4", "fp8", "mxfp4" or "nvfp4", by default as the name says (`…-FP8`) or as traced (see `quantize`, which also takes a group
    size; `prune` makes a model sparse or smaller).
    `devices` of a training run without `parallel` are spread as `Parallel.best_for` finds; `cluster` and `practice` name their nodes and
    network, and the software that trains, in hardware_profiles. `facility`: a `Facility`, the name of a place, or True, for `est.facility`.
    `max_positions`: tokens that a sequence may have, where the model reaches further than its configuration says.
    `routing`: how tokens spread over experts, where there are any: "balanced", "zipf" or the exponent of Zipf's law.

    Raises `UnknownName`, `InvalidSetting`, `MissingInputs`, `ProfileError`, `TraceError`, `Infeasible`, `MissingDependency`.
    """
    profile = load_profile(hw)
    if isinstance(model, (str, Path)) and str(model).endswith(".json"):
        model = _stored_trace(Path(model))
    _check(model, run, parallel, inputs)
    if isinstance(run, Training) and run.stages:
        shared = of_all_stages(run.stages, profile, parallel, devices, cluster, practice)
        shared |= {"stack": stack, "weights": weights, "routing": routing, "max_positions": max_positions, "facility": facility}
        return combined(_each(model, profile, run, inputs, parallel, devices, shared), run)
    subject = _routed(model, routing) if isinstance(model, str) else route(_resolve(model, run or Inference(), inputs), routing)
    if max_positions is not None:
        subject = _stretched(subject, max_positions)
    run = _settled(run, subject)
    subject = _prepared(subject, run, weights, profile)
    software = load_stack(stack or usual_stack(subject, run))
    if isinstance(run, Training) and isinstance(subject, Architecture):
        run, site = placed(subject, run, profile, stack, parallel, devices, cluster, practice)
        profile, software, planned = site.profile, site.stack, plan_training(subject, run, site)
        around = site.cluster
    else:
        check_unplaced(run, devices=devices, cluster=cluster, practice=practice)
        planned, around = plan(subject, run, profile, software, parallel), None
    return assemble(subject, with_facility(planned, profile, facility, around), run, profile, software)


def _check(model: Any, run: Run | None, parallel: Parallel | None, inputs: Any) -> None:
    """Refuse what is of another kind than asked for."""
    if parallel is not None and not isinstance(parallel, Parallel):
        raise InvalidSetting(f"parallel={parallel!r}: expected Parallel(tensor=…, pipeline=…, data=…, …)")
    if inputs is not None and isinstance(model, (str, Architecture, Trace)):
        raise InvalidSetting("inputs are for a torch.nn.Module; an architecture takes its sizes from the run, a trace from what was traced")
    if run is not None and not isinstance(run, (Inference, Training, Serving, Diffusion)):
        raise InvalidSetting(f"run={run!r}: expected Inference(…), Serving(…), Training(…) or Diffusion(…)")


def _each(
    model: Any, profile: Profile, run: Training, inputs: Any, parallel: Parallel | None, devices: int | None, shared: Mapping[str, Any]
) -> dict[str, Estimate]:
    """Stage by stage, each as a run of its own, with the network and the software of all."""
    subject = model if isinstance(model, str) or inputs is not None else _resolve(model, run, inputs)
    done = {}
    for stage in run.stages or ():
        own = subject if stage.model is None else stage.model
        with stage.named():
            done[stage.name] = estimate(own, profile, stage.of(run), inputs=inputs, **stage.spread(parallel, devices), **shared)
    return done


def _prepared(subject: Architecture | Trace, run: Run, weights: str | None, profile: Profile) -> Architecture | Trace:
    """Weights packed for inference; of what is trained on text, the language model."""
    if not isinstance(run, Training):
        return packed(subject, weights, profile)
    if weights is not None:
        raise InvalidSetting(f"weights={weights!r}: quantised weights are for Inference; a training step keeps the format of the model")
    return subject.language if isinstance(subject, Architecture) else subject


def _stretched(subject: Architecture | Trace, positions: int) -> Architecture:
    if not isinstance(subject, Architecture):
        raise InvalidSetting(f"max_positions={positions}: {subject.name} was traced at the sizes of its inputs; only architectures have it")
    require_count("max_positions", positions)
    return replace(subject, max_positions=positions)


def _settled(run: Run | None, subject: Architecture | Trace) -> Run:
    """The run as asked for or by default, with what a diffusion pipeline fills in itself."""
    diffuses = isinstance(subject, Architecture) and subject.kind == "diffusion"
    if run is None:
        run = Diffusion() if diffuses else Inference()
    if isinstance(run, Training) and isinstance(subject, Architecture):
        run = run.within(subject.max_positions)
    if isinstance(run, Diffusion):
        if isinstance(subject, Architecture):
            return run.resolved(subject)
        raise InvalidSetting(f"run=Diffusion(…): {subject.name} is one trace; name a diffusion pipeline, or use Inference(…)")
    if diffuses:
        raise InvalidSetting(f"run={type(run).__name__}(…): {subject.name} is a diffusion pipeline; use Diffusion(batch=…, steps=…)")
    return run


def compare(model: Any, hw: Sequence[Hardware], run: Run | None = None, **settings: Any) -> list[Estimate]:
    """One `Estimate` for each hardware in `hw`, in that order; further arguments as for `estimate`."""
    if isinstance(hw, (str, Path, Mapping, Profile)):
        raise InvalidSetting(f"hw={hw!r}: expected a list of hardware to compare; use estimate() for one")
    return [estimate(model, one, run, **settings) for one in hw]


def sweep(
    model: Any,
    hw: Sequence[Hardware] | Hardware,
    run: type[Run] | None = None,
    *,
    stack: str | None = None,
    parallel: Parallel | None = None,
    **grids: Any,
) -> list[dict[str, Any]]:
    """Estimates over the product of hardware, settings of `run` and `weights`, `devices`, … of `estimate`: each grid a value or a sequence.

    `sweep("llama-3.1-8b", ["A100", "H100"], batch=[1, 8, 64])` gives six rows: the settings, the `estimate` itself and its
    `energy` (J), `time` (s), `power` (W), and joules per token, sample and step where the run has them.
    """
    parts = [hw] if isinstance(hw, (str, Path, Mapping, Profile)) else list(hw)
    choices = {
        name: [value] if isinstance(value, (str, bytes, Mapping)) or not hasattr(value, "__iter__") else list(value)
        for name, value in grids.items()
    }
    subject = load_architecture(model) if isinstance(model, str) else model
    made = run or (Diffusion if isinstance(subject, Architecture) and subject.kind == "diffusion" else Inference)
    own = _settings_of(made, choices)
    rows = []
    for part, *values in product(parts, *choices.values()):
        settings = {name: getattr(value, "item", lambda value=value: value)() for name, value in zip(choices, values)}
        around = {name: settings[name] for name in settings if name not in own}
        answer = estimate(subject, part, made(**{name: settings[name] for name in own}), stack=stack, parallel=parallel, **around)
        rows.append({"hw": load_profile(part).name, **settings, "estimate": answer, **answer.figures()})
    return rows


def _settings_of(made: Any, grids: Mapping[str, Any]) -> list[str]:
    """The names among `grids` that are settings of the run; the others must be those of `estimate`."""
    if made not in get_args(Run):
        raise InvalidSetting(f"run={made!r}: sweep takes the kind of run itself, such as Training, and its settings as grids")
    own = [field.name for field in fields(made)]
    for name in grids:
        if name not in (*own, *SWEPT):
            raise unknown_name("setting", name, (*own, *SWEPT), f"Sweep settings of {made.__name__} or of estimate().")
    return [name for name in grids if name in own]


@lru_cache(maxsize=KEPT)
def _routed(name: str, routing: str | float) -> Architecture:
    """A named architecture with its experts routed, kept because what is worked out from it is kept with it."""
    return route(load_architecture(name), routing)


def _resolve(model: Any, run: Run, inputs: Any) -> Architecture | Trace:
    """A lifted architecture where sizes may vary, or a trace of a module at the sizes of its inputs."""
    if isinstance(model, (Architecture, Trace)):
        return model
    if isinstance(model, str):
        return load_architecture(model)
    config = model if hasattr(model, "model_type") and hasattr(model, "to_dict") else getattr(model, "config", None)
    if hasattr(model, "named_modules") and inputs is not None:
        return _trace(model, run, inputs)
    if hasattr(config, "model_type"):
        from estimator.model.build import architecture_from_config

        return architecture_from_config(config)
    if hasattr(model, "named_modules"):
        raise MissingInputs(
            f"{type(model).__name__} needs example inputs, because shapes decide its work: "
            "estimate(model, inputs=(torch.empty(32, 784, device='meta'),))"
        )
    raise InvalidSetting(f"model={model!r}: expected an architecture name, a torch.nn.Module, a Hugging Face configuration or a Trace")


def _stored_trace(path: Path) -> Trace:
    try:
        return Trace.from_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidSetting(f"model={str(path)!r}: {error.strerror}; give a file that Trace.to_json() wrote, or a name") from None


def _trace(model: Any, run: Run, inputs: Any) -> Trace:
    from estimator.model.tracing import trace

    positional = () if isinstance(inputs, Mapping) else tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    keywords = dict(inputs) if isinstance(inputs, Mapping) else {}
    if isinstance(run, Training):
        return trace(model, *positional, backward=True, optimizer=run.optimizer, **keywords)
    return trace(model, *positional, **keywords)
