"""A run worked out on one device: its phases, what they produce, and what was taken for granted on the way."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from estimator.hardware.schema import Profile
from estimator.model.architecture import Architecture
from estimator.model.trace import Trace
from estimator.model.work import Kernel
from estimator.run.diffusion import Diffusion, diffusion_assumptions, diffusion_phases, media_seconds
from estimator.run.inference import inference_assumptions, inference_phases
from estimator.run.memory import shortfall
from estimator.run.phase import Phase, host_gaps, price
from estimator.run.settings import SHAPES, Inference, Training
from estimator.run.stack import Stack
from estimator.run.training import optimizer_state, training_memory, training_phases, training_step


@dataclass(frozen=True)
class Plan:
    """Priced phases with the kernels they came from; `notes` are the assumptions and warnings of the run itself."""

    phases: Sequence[Phase]
    kernels: Sequence[Kernel]
    notes: Sequence[str] = field(default_factory=tuple)
    tokens: int = 0
    samples: int = 0
    steps: int = 0
    media_seconds: float = 0.0


def plan(subject: Architecture | Trace, run: Inference | Training | Diffusion, profile: Profile, stack: Stack) -> Plan:
    """Price `run` of a lifted architecture at any size, or of a trace at the sizes it was taken at."""
    if isinstance(subject, Trace):
        return _trace(subject, run, profile, stack)
    if isinstance(run, Diffusion):
        return _diffusion(subject, run, profile, stack)
    return _training(subject, run, profile, stack) if isinstance(run, Training) else _inference(subject, run, profile, stack)


def _trace(trace: Trace, run: Inference | Training | Diffusion, profile: Profile, stack: Stack) -> Plan:
    kernels = trace.kernels(stack.fusion)
    notes = [f"sizes are those of the given inputs; {name} of the run is not used" for name in _unused(run)]
    memory = {"weights and buffers": trace.parameter_bytes + trace.buffers_bytes, "activations": trace.saved_bytes}
    if isinstance(run, Training):
        memory |= {"gradients": trace.parameter_bytes, "optimizer state": optimizer_state(kernels)}
        phases = training_phases(kernels, run.total_steps, profile, stack)
        return Plan(phases, kernels, [*notes, *shortfall(profile, memory)], steps=run.total_steps)
    phases = [price("forward", kernels, profile, stack, steps=run.requests), host_gaps(profile, stack, steps=run.requests)]
    return Plan(phases, kernels, [*notes, *shortfall(profile, memory)])


def _unused(run: Inference | Training | Diffusion) -> Iterable[str]:
    defaults = type(run)()
    return [name for name in SHAPES if hasattr(run, name) and getattr(run, name) != getattr(defaults, name)]


def _inference(model: Architecture, run: Inference, profile: Profile, stack: Stack) -> Plan:
    generates = "decode" in model.programs
    tokens = run.prompt_tokens + (run.output_tokens if generates else 0)
    memory = {"weights": model.parameter_bytes, "KV cache": run.batch * model.kv_bytes(tokens)}
    notes = [*inference_assumptions(model, run), *_over_length(model, tokens), *shortfall(profile, memory)]
    kernels = [kernel for name, program in model.programs.items() if name != "training" for kernel in program.kernels[stack.fusion]]
    samples = run.batch * run.requests
    phases = inference_phases(model, run, profile, stack)
    return Plan(phases, kernels, notes, tokens=samples * run.output_tokens if generates else 0, samples=samples)


def _training(model: Architecture, run: Training, profile: Profile, stack: Stack) -> Plan:
    kernels = training_step(model, run, stack)
    notes = [*_over_length(model, run.sequence_tokens), *shortfall(profile, training_memory(model, run))]
    samples = run.batch * run.total_steps
    tokens = samples * run.sequence_tokens if "sequence" in model.programs["training"].symbols else 0
    phases = training_phases(kernels, run.total_steps, profile, stack)
    return Plan(phases, kernels, notes, tokens=tokens, samples=samples, steps=run.total_steps)


def _diffusion(model: Architecture, run: Diffusion, profile: Profile, stack: Stack) -> Plan:
    notes = [*diffusion_assumptions(model, run), *shortfall(profile, {"weights": model.parameter_bytes})]
    kernels = [kernel for program in model.programs.values() for kernel in program.kernels.get(stack.fusion, program.kernels["fused"])]
    phases = diffusion_phases(model, run, profile, stack)
    return Plan(phases, kernels, notes, samples=run.batch * run.requests, media_seconds=media_seconds(model, run))


def _over_length(model: Architecture, tokens: int) -> list[str]:
    sized = any("sequence" in program.symbols for program in model.programs.values())
    if sized and model.max_positions and tokens > model.max_positions:
        return [f"WARNING: {tokens} tokens exceed the {model.max_positions} positions that {model.name} was made for"]
    return []
