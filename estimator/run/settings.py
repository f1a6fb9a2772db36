"""What is run: frozen records with documented defaults. Every default that matters is an assumption of the estimate."""

from collections.abc import Collection
from dataclasses import dataclass, fields
from typing import Any

from estimator.errors import InvalidSetting
from estimator.run.pictures import Pictures
from estimator.run.training_settings import OPTIMIZERS, Training
from estimator.units import require_count, require_positive

SHAPES = ("batch", "prompt_tokens", "output_tokens", "cached_tokens", "sequence_tokens")
__all__ = ["OPTIMIZERS", "SHAPES", "Inference", "Training", "describe"]


@dataclass(frozen=True, kw_only=True)
class Inference(Pictures):
    """Run a model forward: for a language model a prompt (prefill), then token by token (decode).

    `batch` sequences together, each of `prompt_tokens`, of which `cached_tokens` are found in a prefix cache, then
    `output_tokens` each. `requests` repeats it all. Models that do not generate use `batch`, `prompt_tokens` (as the sequence
    length, where they have one) and `requests`. `audio_seconds` of sound, of a speech model, are heard in windows, each with
    `output_tokens` of its own. `images` of each prompt are looked at once, see `Pictures`; their tokens come on top of
    `prompt_tokens`. Raises `InvalidSetting` for values out of range.
    """

    batch: int = 1
    prompt_tokens: int = 512
    output_tokens: int = 256
    cached_tokens: int = 0
    requests: int = 1
    audio_seconds: float | None = None

    def __post_init__(self) -> None:
        Pictures.__post_init__(self)
        if self.audio_seconds is not None:
            require_positive("audio_seconds", self.audio_seconds)
        for name in ("batch", "prompt_tokens", "requests"):
            require_count(name, getattr(self, name))
        if self.output_tokens != 0:
            require_count("output_tokens", self.output_tokens)
        if self.cached_tokens != 0:
            require_count("cached_tokens", self.cached_tokens)
        if self.cached_tokens >= self.prompt_tokens:
            raise InvalidSetting(
                f"cached_tokens={self.cached_tokens}: expected fewer than prompt_tokens={self.prompt_tokens}; "
                "at least one prompt token is computed"
            )


def describe(run: Any, without: Collection[str] = ()) -> dict[str, object]:
    """The settings as plain data for reports and JSON, `without` those that do not apply to the model; stages have their own."""
    values = {field.name: getattr(run, field.name) for field in fields(run) if field.name not in (*without, "stages")}
    return {"kind": type(run).__name__} | {
        name: value if isinstance(value, (int, float, str, type(None))) else _plain(value) for name, value in values.items()
    }


def _plain(value: object) -> object:
    """Numbers in a list or a mapping as text; the class of anything else."""
    if isinstance(value, (list, tuple, dict)):
        return str(value)
    return str(value) if hasattr(value, "mean") else type(value).__name__
