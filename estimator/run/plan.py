"""A run worked out on one device: its phases, what they produce, and what was taken for granted on the way."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from estimator.errors import InvalidSetting
from estimator.hardware.schema import Profile
from estimator.model.architecture import Architecture
from estimator.model.trace import Trace
from estimator.model.work import Kernel
from estimator.run.context import check_positions
from estimator.run.diffusion import Diffusion, diffusion_assumptions, diffusion_phases, media_seconds
from estimator.run.facility import Footprint
from estimator.run.inference import inference_assumptions, inference_phases
from estimator.run.memory import shortfall
from estimator.run.parallel import Parallel
from estimator.run.phase import Phase, host_gaps, price
from estimator.run.pictures import shown
from estimator.run.served import serve
from estimator.run.serving import Serving
from estimator.run.settings import SHAPES, Inference, Training
from estimator.run.site import Site
from estimator.run.speech import heard, in_windows, is_speech
from estimator.run.spread import spread_inference
from estimator.run.stack import Stack
from estimator.run.training import optimizer_state, training_phases, training_step
from estimator.run.training_plan import site_of, train, utilization

STATED = (
    "tokens", "packing", "global_batch", "precision", "recompute", "trainable", "frozen", "sharding", "sequence_parallel", "interleave",
    "schedule", "input_seconds", "checkpoint_every", "evaluation_every",
)  # settings of training that a trace at fixed sizes cannot follow  # fmt: skip
Run = Inference | Training | Serving | Diffusion


@dataclass(frozen=True)
class Plan:
    """Priced phases with the kernels they came from; `notes` are the assumptions and warnings of the run itself."""

    phases: Sequence[Phase]
    kernels: Sequence[Kernel]
    notes: Sequence[str] = field(default_factory=tuple)
    tokens: int = 0
    samples: int = 0
    steps: int = 0
    devices: int = 1
    service: Mapping[str, float] | None = None
    mfu: float | None = None
    facility: Footprint | None = None
    media_seconds: float = 0.0


def plan(subject: Architecture | Trace, run: Run, profile: Profile, stack: Stack, parallel: Parallel | None = None) -> Plan:
    """Price `run` of a lifted architecture at any size, or of a trace at the sizes it was taken at, spread over devices as `parallel` says.

    Raises `InvalidSetting` for what cannot be spread, and for a trace that is to be served.
    """
    spread, run = Parallel() if parallel is None else parallel, shown(subject, run)
    if isinstance(subject, Trace):
        if spread.devices > 1 or isinstance(run, (Serving, Diffusion)):
            named = {Serving: "served", Diffusion: "diffused"}
            what = named.get(type(run), f"spread over {spread.devices} devices")
            raise InvalidSetting(f"a trace at fixed sizes cannot be {what}; give an architecture or a configuration instead of a module")
        return _trace(subject, run, profile, stack)
    if isinstance(run, Diffusion):
        return _diffusion(subject, run, profile, stack, spread)
    if isinstance(run, Serving):
        return _serving(subject, run, profile, stack, spread)
    if isinstance(run, Training):
        return plan_training(subject, run, site_of(profile, stack, spread))
    if spread.devices > 1:
        return _spread(subject, run, profile, stack, spread)
    return _inference(subject, run, profile, stack)


def usual_stack(subject: Architecture | Trace, run: Run) -> str:
    """The software that a run has unless another one is named."""
    if isinstance(run, Diffusion):
        return "pipeline"
    generates = isinstance(subject, Architecture) and subject.kind == "causal-lm"
    return "serving" if generates and not isinstance(run, Training) else "eager"


def _trace(trace: Trace, run: Inference | Training, profile: Profile, stack: Stack) -> Plan:
    _check_step(trace, run)
    kernels = trace.kernels(stack.fusion)
    notes = [f"sizes are those of the given inputs; {name} of the run is not used" for name in _unused(run)]
    memory = {"weights and buffers": trace.parameter_bytes + trace.buffers_bytes, "activations": trace.saved_bytes}
    if isinstance(run, Training):
        memory |= {"gradients": trace.parameter_bytes, "optimizer state": optimizer_state(kernels)}
        steps = run.total_steps * run.runs
        phases = training_phases(kernels, steps, profile, stack)
        if run.epochs is not None:
            notes.append(f"{steps} steps, taking the given inputs for {run.step_samples} samples, the batch of the run")
        return Plan(phases, kernels, [*notes, *shortfall(profile, memory)], steps=steps)
    phases = [price("forward", kernels, profile, stack, steps=run.requests), host_gaps(profile, stack, steps=run.requests)]
    return Plan(phases, kernels, [*notes, *shortfall(profile, memory)])


def _serving(model: Architecture, run: Serving, profile: Profile, stack: Stack, parallel: Parallel) -> Plan:
    done = serve(model, run, profile, stack, parallel)
    kernels = _steps(model, run, stack)
    tokens = round(run.requests * run.outputs.mean)
    devices = parallel.devices * run.replicas
    return Plan(done.phases, kernels, done.notes, tokens=tokens, samples=run.requests, devices=devices, service=done.service)


def _steps(model: Architecture, run: Inference | Serving, stack: Stack) -> list[Kernel]:
    """Kernels of every step of inference, and of the tower where there are pictures."""
    programs = [program for name, program in model.programs.items() if name != "training"]
    if run.images and model.vision is not None:
        programs.append(model.vision.program)
    return [kernel for program in programs for kernel in program.kernels[stack.fusion]]


def _spread(model: Architecture, run: Inference, profile: Profile, stack: Stack, parallel: Parallel) -> Plan:
    generates = "decode" in model.programs
    check_positions(model, run.prompt_tokens + run.output_tokens * generates, _lengths(run, True, generates))
    samples = run.batch * run.requests
    kernels = _steps(model, run, stack)
    phases, notes = spread_inference(model, run, profile, stack, parallel)
    notes = [*notes, *inference_assumptions(model, run)]
    tokens = samples * run.output_tokens if generates else 0
    return Plan(phases, kernels, notes, tokens=tokens, samples=samples, devices=parallel.devices)


def _lengths(run: Inference, prompted: bool, generates: bool) -> str:
    said = {"prompt_tokens": (run.prompt_tokens, prompted), "output_tokens": (run.output_tokens, generates)}
    return ", ".join(f"{name}={tokens}" for name, (tokens, counts) in said.items() if counts)


def _unused(run: Inference | Training) -> Iterable[str]:
    defaults = type(run)()
    counted = isinstance(run, Training) and run.epochs is not None  # the batch then says how many steps an epoch has
    names = [name for name in SHAPES if hasattr(run, name) and not (counted and name == "batch")]
    return [name for name in names if getattr(run, name) != getattr(defaults, name)]


def _check_step(trace: Trace, run: Inference | Training) -> None:
    """Refuse what a recorded step cannot follow, lest a setting change nothing without a word."""
    backward = any(call.phase == "backward" for call in trace.calls)
    if not isinstance(run, Training):
        if backward:
            raise InvalidSetting(f"{trace.name} was traced with its backward pass: use Training(…), or trace it without backward=True")
        return
    if not backward:
        raise InvalidSetting(f"{trace.name} was traced forward alone; for Training, trace(model, …, backward=True, optimizer='adamw')")
    changed = [name for name in STATED if getattr(run, name) != getattr(Training(), name)]
    if changed:
        raise InvalidSetting(
            f"{changed[0]}={getattr(run, changed[0])!r}: a module is trained as its step was traced; change the module and its inputs "
            f"instead (autocast, checkpointing, requires_grad), or name an architecture, which takes all settings of Training"
        )


def _inference(model: Architecture, run: Inference, profile: Profile, stack: Stack) -> Plan:
    generates = "decode" in model.programs
    tokens = (0 if is_speech(model) else run.prompt_tokens) + (run.output_tokens if generates else 0)
    memory = {"weights": model.parameter_bytes, "KV cache": run.batch * model.kv_bytes(tokens)}
    check_positions(model, tokens, _lengths(run, not is_speech(model), generates))
    notes = [*inference_assumptions(model, run), *shortfall(profile, memory)]
    kernels = _steps(model, run, stack)
    samples, windows = run.batch * run.requests, in_windows(model, run)
    written = windows.batch * windows.requests * run.output_tokens if generates else 0
    phases = inference_phases(model, windows, profile, stack)
    return Plan(phases, kernels, notes, tokens=written, samples=samples, media_seconds=heard(run))


def plan_training(model: Architecture, run: Training, site: Site) -> Plan:
    """A training run of a lifted architecture on the devices of a site. Raises `InvalidSetting` and `Infeasible`, see `train`."""
    phases, notes = train(model, run, site)
    samples = run.step_samples * run.total_steps * run.runs
    tokens = round(samples * run.length * run.packing) if "sequence" in model.programs["training"].symbols else 0
    kernels = training_step(model, run, site.stack)
    return Plan(
        phases,
        kernels,
        notes,
        tokens=tokens,
        samples=samples,
        steps=run.total_steps * run.runs,
        devices=site.parallel.devices,
        mfu=utilization(phases, site, run.precision or model.format),
    )


def _diffusion(model: Architecture, run: Diffusion, profile: Profile, stack: Stack, parallel: Parallel) -> Plan:
    if parallel.devices != parallel.sequence:
        raise InvalidSetting(f"parallel={parallel}: a diffusion pipeline is cut by its tokens alone; use Parallel(sequence=…)")
    if parallel.sequence > 1:
        run = replace(run, ulysses=parallel.sequence).resolved(model)
    notes = [*diffusion_assumptions(model, run), *shortfall(profile, {"weights": model.parameter_bytes})]
    kernels = [kernel for program in model.programs.values() for kernel in program.kernels.get(stack.fusion, program.kernels["fused"])]
    phases = diffusion_phases(model, run, profile, stack)
    return Plan(phases, kernels, notes, samples=run.batch * run.requests, media_seconds=media_seconds(model, run), devices=run.cut.devices)
