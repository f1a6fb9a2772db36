"""Diffusion as phases: text is encoded once, noise is taken away step by step, latents are decoded to pixels."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from estimator.errors import InvalidSetting
from estimator.hardware.demand import Demand
from estimator.hardware.schema import Profile
from estimator.model.architecture import Architecture
from estimator.model.work import Kernel
from estimator.run.collective import communicate
from estimator.run.entry import WAITING, Asked
from estimator.run.phase import Phase, host_gaps, price, price_asked, repeated
from estimator.run.sequence import Cut, cut_kernels, exchanges
from estimator.run.stack import Stack
from estimator.units import require_count

WHOLE = "aten.native_group_norm"
OPTIONAL = ("height", "width", "frames", "steps", "passes")


@dataclass(frozen=True, kw_only=True)
class Diffusion:
    """Make images or videos with a diffusion pipeline: encode the prompts, denoise in steps, decode.

    `batch` prompts together; `height` and `width` in pixels, `frames` of a video, denoising `steps`, and `passes` through the
    denoiser in each step (2 with classifier-free guidance, 1 without): by default those that the model was made for.
    `requests` repeats it all. `ulysses` × `ring` devices share every image or video, a transformer's tokens cut over them (see
    `estimator.run.sequence`); each of them encodes the prompts, one decodes while the others wait. Raises `InvalidSetting` for values
    out of range.
    """

    batch: int = 1
    height: int | None = None
    width: int | None = None
    frames: int | None = None
    steps: int | None = None
    passes: int | None = None
    requests: int = 1
    ulysses: int = 1
    ring: int = 1

    def __post_init__(self) -> None:
        for field in fields(self):
            if getattr(self, field.name) is not None:
                require_count(field.name, getattr(self, field.name))
        if self.passes is not None and self.passes > 2:
            raise InvalidSetting(f"passes={self.passes!r}: expected 1 (no guidance) or 2 (classifier-free guidance)")

    def resolved(self, model: Architecture) -> "Diffusion":
        """The same run with the model's defaults where nothing was given; raises `InvalidSetting` for what the model cannot do."""
        if model.kind != "diffusion":
            raise InvalidSetting(
                f"run=Diffusion(…): {model.name} is no diffusion pipeline but of the kind {model.kind!r}; use Inference(…)"
            )
        known = model.defaults
        if self.cut.devices > 1 and any(kernel.name == WHOLE for kernel in model.programs["denoise"].kernels["eager"]):
            wish = f"ulysses={self.ulysses}, ring={self.ring}"
            raise InvalidSetting(f"{wish}: {model.name} normalises over whole images, so they cannot be cut; choose a transformer")
        if self.frames is not None and "frames" not in known:
            raise InvalidSetting(f"frames={self.frames}: {model.name} makes images; leave frames out, or choose a video model")
        filled: dict[str, Any] = {name: known.get(name) for name in OPTIONAL if getattr(self, name) is None}
        return replace(self, **filled)

    @property
    def cut(self) -> Cut:
        """How tokens are cut over devices."""
        return Cut(self.ulysses, self.ring)

    def sizes(self, model: Architecture) -> dict[str, int]:
        """Pixels and frames that the programs of `model` ask for, of a resolved run."""
        known = {"height": self.height, "width": self.width, "frames": self.frames}
        return {name: value for name, value in known.items() if value is not None and name in model.programs["denoise"].symbols}


def diffusion_phases(model: Architecture, run: Diffusion, profile: Profile, stack: Stack) -> list[Phase]:
    """Phases encode, denoise and decode of a resolved `run`, and the time spent waiting for the host."""
    sizes, steps, passes = run.sizes(model), run.steps or 1, run.passes or 1
    in_turn = passes if model.defaults.get("guidance_in_turn") else 1  # both passes in one batch, or one after the other
    together = run.batch * passes // in_turn
    phases = []
    if "encode" in model.programs:
        kernels = diffusion_kernels(model, "encode", stack, {"batch": run.batch * passes})
        phases.append(price("encode", kernels, profile, stack, steps=run.requests))
    phases += _denoise(model, run, profile, stack, {"batch": together, **sizes}, run.requests * steps * in_turn)
    kernels = diffusion_kernels(model, "decode", stack, {"batch": run.batch, **sizes})
    phases += _decode(price("decode", kernels, profile, stack, steps=run.requests), run.cut.devices, profile, stack)
    phases += [host_gaps(profile, stack, steps=run.requests * (steps + 1)), *_conversion(run, profile, stack)]
    return [repeated(phase, 1.0, run.cut.devices) for phase in phases]


def _denoise(model: Architecture, run: Diffusion, profile: Profile, stack: Stack, sizes: dict[str, float], times: float) -> list[Phase]:
    """The passes through the denoiser, and the exchanges in them where it is cut over devices."""
    cut, whole = run.cut, diffusion_kernels(model, "denoise", stack, sizes)
    if cut.devices == 1:
        return [price("denoise", whole, profile, stack, steps=times)]
    part = diffusion_kernels(model, "denoise", stack, sizes | {"height": sizes["height"] / cut.devices})
    own = tuple(cut_kernels(whole, part, cut))
    sent = exchanges(whole, part, cut, profile)
    phases = [price("denoise", own, profile, stack, steps=times)]
    return [*phases, communicate(sent, profile, stack, steps=times)] if sent else phases


def _decode(alone: Phase, devices: int, profile: Profile, stack: Stack) -> list[Phase]:
    """The share of a device in what one of them does while the others wait (xDiT pipelines: the last one decodes)."""
    if devices == 1:
        return [alone]
    seconds = sum(entry.time for entry in alone.entries) * (1 - 1 / devices)
    waiting = Asked("waiting for the device that decodes", WAITING, Demand(interval=seconds))
    return [repeated(alone, 1 / devices), price_asked("idle", [waiting], profile, stack)]


def _conversion(run: Diffusion, profile: Profile, stack: Stack) -> list[Phase]:
    """The time in which the host turns pixels into pictures."""
    if stack.pixel_seconds is None:
        return []
    pixels = run.batch * (run.frames or 1) * (run.height or 1) * (run.width or 1)
    waiting = Asked("converting pixels", WAITING, Demand(interval=pixels * stack.pixel_seconds))
    return [price_asked("pictures", [waiting], profile, stack, steps=run.requests)]


def diffusion_kernels(model: Architecture, program: str, stack: Stack, sizes: Mapping[str, float]) -> tuple[Kernel, ...]:
    """The program's kernels; a serving stack runs a denoiser as a compiler fuses it."""
    lifted = model.programs[program]
    return lifted.at(stack.fusion if stack.fusion in lifted.kernels else "fused", **sizes)


def media_seconds(model: Architecture, run: Diffusion) -> float:
    """Seconds of video that a resolved `run` makes; 0 where it makes images."""
    return run.batch * run.requests * (run.frames or 0) / model.defaults["fps"] if "fps" in model.defaults else 0.0


def diffusion_assumptions(model: Architecture, run: Diffusion) -> list[str]:
    """What a resolved run takes for granted."""
    guided = f"{run.passes} passes of the denoiser a step" if run.passes != 1 else "one pass of the denoiser a step, no guidance"
    notes = [f"{run.steps} steps, {guided}"]
    multiple = model.defaults.get("multiple", 1)
    odd = [f"{name}={size}" for name, size in (("height", run.height), ("width", run.width)) if size and size % multiple]
    if odd:
        notes.append(f"{', '.join(odd)} not a multiple of {multiple}: sizes of inner layers are taken between their neighbours")
    return notes
