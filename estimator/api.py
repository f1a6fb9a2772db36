"""The front door: `estimate` and `compare`. The one file in which every floor meets."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from estimator.errors import InvalidSetting, MissingInputs
from estimator.hardware.catalogue import load_profile
from estimator.hardware.schema import Profile
from estimator.model.architecture import Architecture, load_architecture
from estimator.model.trace import Trace
from estimator.model.work import Kernel
from estimator.report.estimate import Estimate, Source
from estimator.run.formats import matrix_unit
from estimator.run.inference import inference_assumptions, inference_phases
from estimator.run.memory import shortfall
from estimator.run.phase import Phase, host_gaps, price
from estimator.run.settings import SHAPES, Inference, Training, describe
from estimator.run.stack import Stack, load_stack
from estimator.run.training import training_memory, training_phases, training_step
from estimator.units import KELVIN_AT_ZERO_CELSIUS

Hardware = str | Path | Mapping[str, Any] | Profile


def estimate(
    model: Any, hw: Hardware = "H100", run: Inference | Training | None = None, *, inputs: Any = None, stack: str | None = None
) -> Estimate:
    """Predict the energy of running `model` on `hw`; nothing is run on real hardware.

    `model`: a bundled architecture name (`list_models()`), an `Architecture`, a Hugging Face configuration or model, any
    `torch.nn.Module` together with example `inputs` (a tensor, a tuple of positional or a dict of keyword arguments; real,
    meta or fake), or a `Trace`. `hw`: a profile name or alias, a path to a TOML file, a mapping or a `Profile`.
    `run`: `Inference` (default) or `Training`. `stack`: "eager", "compiled" or "serving"; by default serving for generating
    language models, else eager.

    Raises `UnknownName`, `InvalidSetting`, `MissingInputs`, `ProfileError`, `TraceError`, `Infeasible`, `MissingDependency`.
    """
    profile = load_profile(hw)
    run = Inference() if run is None else run
    if not isinstance(run, (Inference, Training)):
        raise InvalidSetting(f"run={run!r}: expected Inference(…) or Training(…)")
    subject = _resolve(model, run, inputs)
    software = load_stack(stack or _default_stack(subject, run))
    answer = _estimate_architecture if isinstance(subject, Architecture) else _estimate_trace
    return answer(subject, profile, run, software)


def compare(model: Any, hw: Sequence[Hardware], run: Inference | Training | None = None, **settings: Any) -> list[Estimate]:
    """One `Estimate` for each hardware in `hw`, in that order; further arguments as for `estimate`."""
    if isinstance(hw, (str, Path, Mapping, Profile)):
        raise InvalidSetting(f"hw={hw!r}: expected a list of hardware to compare; use estimate() for one")
    return [estimate(model, one, run, **settings) for one in hw]


def sweep(
    model: Any,
    hw: Sequence[Hardware] | Hardware,
    run: type[Inference] | type[Training] = Inference,
    *,
    stack: str | None = None,
    **grids: Any,
) -> list[dict[str, Any]]:
    """Estimates over the product of hardware and run settings: each of `grids` is a value or a sequence of values.

    `sweep("llama-3.1-8b", ["A100", "H100"], batch=[1, 8, 64])` gives six rows: the settings, the `estimate` itself and its
    `energy` (J), `time` (s), `power` (W), and joules per token, sample and step where the run has them.
    """
    parts = [hw] if isinstance(hw, (str, Path, Mapping, Profile)) else list(hw)
    choices = {
        name: [value] if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__") else list(value) for name, value in grids.items()
    }
    subject = load_architecture(model) if isinstance(model, str) else model
    rows = []
    for part, *values in product(parts, *choices.values()):
        settings = {name: getattr(value, "item", lambda value=value: value)() for name, value in zip(choices, values)}
        answer = estimate(subject, part, run(**settings), stack=stack)
        rows.append({"hw": load_profile(part).name, **settings, "estimate": answer, **answer.figures()})
    return rows


def _resolve(model: Any, run: Inference | Training, inputs: Any) -> Architecture | Trace:
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


def _trace(model: Any, run: Inference | Training, inputs: Any) -> Trace:
    from estimator.model.tracing import trace

    positional = () if isinstance(inputs, Mapping) else tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    keywords = dict(inputs) if isinstance(inputs, Mapping) else {}
    if isinstance(run, Training):
        return trace(model, *positional, backward=True, optimizer=run.optimizer, **keywords)
    return trace(model, *positional, **keywords)


def _default_stack(subject: Architecture | Trace, run: Inference | Training) -> str:
    generates = isinstance(subject, Architecture) and subject.kind == "causal-lm"
    return "serving" if generates and isinstance(run, Inference) else "eager"


def _estimate_trace(trace: Trace, profile: Profile, run: Inference | Training, stack: Stack) -> Estimate:
    kernels = trace.kernels(stack.fusion)
    notes = [f"sizes are those of the given inputs; {name} of the run is not used" for name in _unused(run)]
    memory = {"weights and buffers": trace.parameter_bytes + trace.buffers_bytes, "activations": trace.saved_bytes}
    phases: list[Phase]
    if isinstance(run, Training):
        phases = training_phases(kernels, run.total_steps, profile, stack)
        memory |= {"gradients": trace.parameter_bytes}
    else:
        phases = [price("forward", kernels, profile, stack, steps=run.requests), host_gaps(profile, stack, steps=run.requests)]
    steps = run.total_steps if isinstance(run, Training) else 0
    notes += shortfall(profile, memory)
    return _finish(trace, kernels, phases, profile, run, stack, notes, steps=steps)


def _unused(run: Inference | Training) -> Iterable[str]:
    defaults = type(run)()
    return [name for name in SHAPES if hasattr(run, name) and getattr(run, name) != getattr(defaults, name)]


def _estimate_architecture(model: Architecture, profile: Profile, run: Inference | Training, stack: Stack) -> Estimate:
    if isinstance(run, Training):
        return _train_architecture(model, profile, run, stack)
    phases = inference_phases(model, run, profile, stack)
    sequence = run.prompt_tokens + run.output_tokens
    notes = [*inference_assumptions(model, run), *_over_length(model, sequence)]
    notes += shortfall(profile, {"weights": model.parameter_bytes, "KV cache": run.batch * model.kv_bytes(sequence)})
    samples = run.batch * run.requests
    tokens = samples * run.output_tokens if "decode" in model.programs else 0
    kernels = [kernel for name, program in model.programs.items() if name != "training" for kernel in program.kernels[stack.fusion]]
    return _finish(model, kernels, phases, profile, run, stack, notes, tokens=tokens, samples=samples)


def _train_architecture(model: Architecture, profile: Profile, run: Training, stack: Stack) -> Estimate:
    kernels = training_step(model, run, stack)
    phases = training_phases(kernels, run.total_steps, profile, stack)
    notes = [*_over_length(model, run.sequence_tokens), *shortfall(profile, training_memory(model, run))]
    samples = run.batch * run.total_steps
    tokens = samples * run.sequence_tokens if "sequence" in model.programs["training"].symbols else 0
    return _finish(model, kernels, phases, profile, run, stack, notes, tokens=tokens, samples=samples, steps=run.total_steps)


def _over_length(model: Architecture, tokens: int) -> list[str]:
    sized = any("sequence" in program.symbols for program in model.programs.values())
    if sized and model.max_positions and tokens > model.max_positions:
        return [f"WARNING: {tokens} tokens exceed the {model.max_positions} positions that {model.name} was made for"]
    return []


def _finish(
    model: Architecture | Trace,
    kernels: Sequence[Kernel],
    phases: Sequence[Phase],
    profile: Profile,
    run: Inference | Training,
    stack: Stack,
    notes: Sequence[str],
    **counts: int,
) -> Estimate:
    numbers = tuple(
        Source(path, float(value), value.unit, value.low, value.high, value.source, value.status)
        for owner, holder in (("hardware", profile), ("stack", stack))
        for path, value in ((f"{owner}.{path}", value) for path, value in holder.quantities().items())
    )
    return Estimate(
        model=model.name,
        hardware=profile.name,
        stack=stack.name,
        run=describe(run, shaped=isinstance(model, Architecture)),
        phases=tuple(phases),
        parameters=model.parameters,
        coverage=_unknown(kernels),
        assumptions=tuple(dict.fromkeys([*notes, *model.decisions, *_format_notes(kernels, profile), *_standing_notes(profile, stack)])),
        numbers=numbers,
        **counts,
    )


def _unknown(kernels: Iterable[Kernel]) -> dict[str, int]:
    from estimator.model.rules import is_known

    met: dict[str, int] = {}
    for kernel in kernels:
        for signature in kernel.signatures:
            if not is_known(signature.op):
                met[signature.op] = met.get(signature.op, 0) + int(kernel.launches)
    return met


def _format_notes(kernels: Iterable[Kernel], profile: Profile) -> list[str]:
    notes = []
    for number_format in sorted({kernel.format for kernel in kernels if kernel.kind in ("matmul", "attention", "convolution")}):
        unit, used = matrix_unit(number_format, profile)
        if used != number_format or unit == "vector":
            notes.append(f"{number_format} matrix products run as {used} on the {unit} units of {profile.name}")
    return notes


def _standing_notes(profile: Profile, stack: Stack) -> list[str]:
    ambient = profile.thermal.ambient - KELVIN_AT_ZERO_CELSIUS
    return [
        f"hardware is {profile.name}; one device, board energy only: host, network and cooling are not included",
        f"software stack {stack.name}: {stack.notes}",
        f"operands toggle like random data; coolant or air enters at {ambient:.0f} °C",
    ]
