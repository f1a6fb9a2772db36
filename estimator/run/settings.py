"""What is run: frozen records with documented defaults. Every default that matters is an assumption of the estimate."""

from collections.abc import Collection
from dataclasses import dataclass, fields
from typing import Any

from estimator.errors import InvalidSetting, unknown_name
from estimator.units import require_non_negative, require_positive

SHAPES = ("batch", "prompt_tokens", "output_tokens", "cached_tokens", "sequence_tokens")
OPTIMIZERS = ("sgd", "momentum", "adam", "adamw", "adamw8bit", "adagrad", "adafactor", "lion", "muon")


def _require_count(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidSetting(f"{name}={value!r}: expected a whole number of at least 1")


@dataclass(frozen=True, kw_only=True)
class Inference:
    """Run a model forward: for a language model a prompt (prefill), then token by token (decode).

    `batch` sequences together, each of `prompt_tokens`, of which `cached_tokens` are found in a prefix cache, then
    `output_tokens` each. `requests` repeats it all. Models that do not generate use `batch`, `prompt_tokens` (as the sequence
    length, where they have one) and `requests`. Raises `InvalidSetting` for values out of range.
    """

    batch: int = 1
    prompt_tokens: int = 512
    output_tokens: int = 256
    cached_tokens: int = 0
    requests: int = 1

    def __post_init__(self) -> None:
        for name in ("batch", "prompt_tokens", "requests"):
            _require_count(name, getattr(self, name))
        if self.output_tokens != 0:
            _require_count("output_tokens", self.output_tokens)
        require_non_negative("cached_tokens", self.cached_tokens)
        if self.cached_tokens >= self.prompt_tokens:
            raise InvalidSetting(
                f"cached_tokens={self.cached_tokens}: expected fewer than prompt_tokens={self.prompt_tokens}; "
                "at least one prompt token is computed"
            )


@dataclass(frozen=True, kw_only=True)
class Training:
    """Train a model for `steps` optimizer steps: forward, backward, optimizer.

    `batch` samples of `sequence_tokens` per step and device (for a module given with `inputs`, these set the shapes instead).
    `epochs` and `samples` may replace `steps`: steps = epochs × samples / batch, rounded up. `optimizer` is one of
    `OPTIMIZERS` (fused; muon for hidden matrices, with adamw for the rest) or a `torch.optim.Optimizer` of the given module,
    which is then traced for real.
    Raises `InvalidSetting` or `UnknownName`.
    """

    steps: int | None = None
    batch: int = 1
    sequence_tokens: int = 2048
    epochs: float | None = None
    samples: int | None = None
    optimizer: Any = "adamw"

    def __post_init__(self) -> None:
        for name in ("batch", "sequence_tokens"):
            _require_count(name, getattr(self, name))
        if isinstance(self.optimizer, str) and self.optimizer not in OPTIMIZERS:
            raise unknown_name("optimizer", self.optimizer, OPTIMIZERS, "Or pass a torch.optim.Optimizer.")
        if self.steps is not None:
            _require_count("steps", self.steps)
            if self.epochs is not None or self.samples is not None:
                raise InvalidSetting("steps was given together with epochs or samples; give steps, or both of the others")
        elif (self.epochs is None) != (self.samples is None):
            raise InvalidSetting("epochs and samples belong together; give both, or steps")
        elif self.epochs is not None and self.samples is not None:
            require_positive("epochs", self.epochs)
            _require_count("samples", self.samples)

    @property
    def total_steps(self) -> int:
        """Optimizer steps of the whole run; 1 where nothing says more."""
        if self.steps is not None:
            return self.steps
        if self.epochs is None or self.samples is None:
            return 1
        return -int(-self.epochs * self.samples // self.batch)


def describe(run: Any, without: Collection[str] = ()) -> dict[str, object]:
    """The settings as plain data for reports and JSON, `without` those that do not apply to the model."""
    values = {field.name: getattr(run, field.name) for field in fields(run) if field.name not in without}
    return {"kind": type(run).__name__} | {
        name: value if isinstance(value, (int, float, str, type(None))) else _plain(value) for name, value in values.items()
    }


def _plain(value: object) -> object:
    """Numbers in a list or a mapping as text; the class of anything else."""
    if isinstance(value, (list, tuple, dict)):
        return str(value)
    return str(value) if hasattr(value, "mean") else type(value).__name__
