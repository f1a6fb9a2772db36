"""Diffusion as phases: text is encoded once, noise is taken away step by step, latents are decoded to pixels."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from estimator.errors import InvalidSetting
from estimator.hardware.schema import Profile
from estimator.model.architecture import Architecture
from estimator.model.work import Kernel
from estimator.run.phase import Phase, host_gaps, price
from estimator.run.stack import Stack

OPTIONAL = ("height", "width", "frames", "steps", "passes")


@dataclass(frozen=True, kw_only=True)
class Diffusion:
    """Make images or videos with a diffusion pipeline: encode the prompts, denoise in steps, decode.

    `batch` prompts together; `height` and `width` in pixels, `frames` of a video, denoising `steps`, and `passes` through the
    denoiser in each step (2 with classifier-free guidance, 1 without): by default those that the model was made for.
    `requests` repeats it all. Raises `InvalidSetting` for values out of range.
    """

    batch: int = 1
    height: int | None = None
    width: int | None = None
    frames: int | None = None
    steps: int | None = None
    passes: int | None = None
    requests: int = 1

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise InvalidSetting(f"{field.name}={value!r}: expected a whole number of at least 1")
        if self.passes is not None and self.passes > 2:
            raise InvalidSetting(f"passes={self.passes!r}: expected 1 (no guidance) or 2 (classifier-free guidance)")

    def resolved(self, model: Architecture) -> "Diffusion":
        """The same run with the model's defaults where nothing was given; raises `InvalidSetting` for what the model cannot do."""
        if model.kind != "diffusion":
            raise InvalidSetting(
                f"run=Diffusion(…): {model.name} is no diffusion pipeline but of the kind {model.kind!r}; use Inference(…)"
            )
        known = model.defaults
        if self.frames is not None and "frames" not in known:
            raise InvalidSetting(f"frames={self.frames}: {model.name} makes images; leave frames out, or choose a video model")
        filled: dict[str, Any] = {name: known.get(name) for name in OPTIONAL if getattr(self, name) is None}
        return replace(self, **filled)

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
    kernels = diffusion_kernels(model, "denoise", stack, {"batch": together, **sizes})
    phases.append(price("denoise", kernels, profile, stack, steps=run.requests * steps * in_turn))
    kernels = diffusion_kernels(model, "decode", stack, {"batch": run.batch, **sizes})
    phases.append(price("decode", kernels, profile, stack, steps=run.requests))
    return [*phases, host_gaps(profile, stack, steps=run.requests * (steps + 1))]


def diffusion_kernels(model: Architecture, program: str, stack: Stack, sizes: Mapping[str, int]) -> tuple[Kernel, ...]:
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
