"""How a model is trained: a frozen record with documented defaults."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from estimator.errors import InvalidSetting, unknown_name
from estimator.units import require_count, require_non_negative, require_positive, require_share

if TYPE_CHECKING:
    from estimator.run.stage import Stage

OPTIMIZERS = ("sgd", "momentum", "adam", "adamw", "adamw8bit", "adagrad", "adafactor", "lion", "muon")
USUAL_LENGTH = 2048  # exact: a default that users change
PRECISIONS = ("fp32", "tf32", "bf16", "fp16", "fp8")
RECOMPUTE = ("none", "selective", "elementwise", "full")  # each keeps less than the one before, and computes more again
TRAINABLE = ("all", "lora", "qlora")
SCHEDULES = ("1f1b", "zero-bubble", "dualpipe")
SHARDING = ("none", "zero1", "zero2", "zero3")
AMOUNTS = ("steps", "epochs", "tokens")  # of which one says how long a run is
CHOICES = {"precision": PRECISIONS, "recompute": RECOMPUTE, "trainable": TRAINABLE, "sharding": SHARDING, "schedule": SCHEDULES}


@dataclass(frozen=True, kw_only=True)
class Training:
    """Train a model for `steps` optimizer steps: forward, backward, optimizer.

    How much: `steps`; or `epochs` and `samples`; or `tokens`, of which `packing` is the share of positions that hold one. `runs`
    repeats it all (a search over hyper-parameters).
    One step: `batch` samples of `sequence_tokens` (None: 2048, or as many as the model has positions for) at a time on each replica
    (the micro-batch; for a module given with `inputs`, these set the shapes instead), `global_batch` samples in all, so that gradients
    accumulate over global_batch ÷ (batch × data) of them.
    `optimizer`: one of `OPTIMIZERS` (fused; muon for hidden matrices, with adamw for the rest) or a `torch.optim.Optimizer` of the
    given module, which is then traced for real.
    `precision`: of matrix products, one of `PRECISIONS`; None: as the model was traced. fp16 scales the loss; fp8 keeps activations
    in 16 bits between products. `recompute`: activations that backward computes again: "none", "selective" (the core of attention),
    "elementwise" (norms and activation functions as well) or "full" (each layer from its input). `sequence_parallel`: ranks of tensor
    parallelism share the tokens of norms, dropout and residual sums too; None: as the practice does. `trainable`: "all", "lora" or
    "qlora" (frozen weights in 4 bits) with adapters of `rank` beside each matrix; `frozen`: the share of the layers without gradients
    of their weights. `sharding`: what data-parallel replicas share, of the optimizer's state (zero1), gradients (zero2) and weights
    (zero3, FSDP). `interleave`: stretches of layers in each stage. `schedule`: how micro-batches go through
    stages, one of `SCHEDULES` (see `estimator.run.schedule`).
    `input_seconds`: time of one host core for each sample, spread over `workers` for each device. `checkpoint_every` and
    `evaluation_every` steps (0: never), an evaluation being `evaluation_samples` forward.
    `stages`: a list of `Stage`, each with its own length and what differs in it; they follow each other without a pause.

    Raises `InvalidSetting` or `UnknownName`.
    """

    steps: int | None = None
    batch: int = 1
    sequence_tokens: int | None = None
    epochs: float | None = None
    samples: int | None = None
    optimizer: Any = "adamw"
    tokens: float | None = None
    packing: float = 1.0
    global_batch: int | None = None
    precision: str | None = None
    recompute: str = "none"
    trainable: str = "all"
    rank: int = 16
    frozen: float = 0.0
    sharding: str = "none"
    sequence_parallel: bool | None = None
    interleave: int = 1
    schedule: str = "1f1b"
    input_seconds: float = 0.0
    workers: int = 8
    checkpoint_every: int = 0
    evaluation_every: int = 0
    evaluation_samples: int = 0
    runs: int = 1
    stages: "Sequence[Stage] | None" = None

    def __post_init__(self) -> None:
        if self.sequence_tokens is not None:
            require_count("sequence_tokens", self.sequence_tokens)
        for name in ("batch", "rank", "interleave", "workers", "runs"):
            require_count(name, getattr(self, name))
        for name in ("input_seconds", "checkpoint_every", "evaluation_every", "evaluation_samples"):
            require_non_negative(name, getattr(self, name))
        if bool(self.evaluation_every) != bool(self.evaluation_samples):
            raise InvalidSetting("evaluation_every and evaluation_samples belong together; give both, or neither")
        if self.optimizer not in OPTIMIZERS and not hasattr(self.optimizer, "param_groups"):
            raise unknown_name("optimizer", self.optimizer, OPTIMIZERS, "Or pass a torch.optim.Optimizer.")
        for name, known in CHOICES.items():
            value = getattr(self, name)
            if value not in known and not (name == "precision" and value is None):
                raise unknown_name(name, str(value), known, f"Pass one of these as {name}=….")
        if self.sequence_parallel not in (None, True, False):
            raise InvalidSetting(f"sequence_parallel={self.sequence_parallel!r}: expected True, False, or None for what the practice does")
        require_share("frozen", self.frozen)
        require_positive("packing", require_share("packing", self.packing))
        if self.global_batch is not None:
            require_count("global_batch", self.global_batch)
        if self.interleave > 1 and self.schedule != "1f1b":
            raise InvalidSetting(f"interleave={self.interleave}: stretches of layers go with schedule='1f1b', not {self.schedule!r}")
        self._check_amount()
        if self.stages is not None:
            self._check_stages()

    def _check_amount(self) -> None:
        given = [name for name in AMOUNTS if getattr(self, name) is not None]
        if self.steps is not None:
            require_count("steps", self.steps)
        if self.steps is not None and (self.epochs is not None or self.samples is not None):
            raise InvalidSetting("steps was given together with epochs or samples; give steps, or both of the others")
        if len(given) > 1:
            raise InvalidSetting(f"{' and '.join(given)} were given together; one of them says how long the run is")
        if (self.epochs is None) != (self.samples is None):
            raise InvalidSetting("epochs and samples belong together; give both, or steps")
        if self.epochs is not None and self.samples is not None:
            require_positive("epochs", self.epochs)
            require_count("samples", self.samples)
        if self.tokens is not None:
            require_positive("tokens", self.tokens)

    def _check_stages(self) -> None:
        from estimator.run.stage import numbered

        for name in AMOUNTS:
            if getattr(self, name) is not None:
                raise InvalidSetting(f"{name}={getattr(self, name)!r}: a run is as long as its stages; give each its own, Stage({name}=…)")
        stages = numbered(self.stages)
        object.__setattr__(self, "stages", stages)
        for stage in stages:
            stage.of(self)

    @property
    def length(self) -> int:
        """Tokens of a sequence."""
        return USUAL_LENGTH if self.sequence_tokens is None else self.sequence_tokens

    def within(self, positions: int | None) -> "Training":
        """The run with its sequences as long as stated, else as usual or as a model of so many positions allows."""
        return self if self.sequence_tokens is not None else replace(self, sequence_tokens=min(USUAL_LENGTH, positions or USUAL_LENGTH))

    @property
    def step_samples(self) -> int:
        """Samples of one optimizer step of all replicas."""
        return self.global_batch or self.batch

    @property
    def total_steps(self) -> int:
        """Optimizer steps of the whole run; 1 where nothing says more."""
        if self.stages is not None:
            return sum(stage.of(self).total_steps for stage in self.stages)
        if self.steps is not None:
            return self.steps
        if self.tokens is not None:
            return -int(-self.tokens // (self.step_samples * self.length * self.packing))
        if self.epochs is None or self.samples is None:
            return 1
        return -int(-self.epochs * self.samples // self.step_samples)
