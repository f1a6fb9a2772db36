"""How a run is spread over devices."""

from dataclasses import dataclass, fields
from math import prod
from typing import Any

from estimator.errors import InvalidSetting

DEGREES = ("tensor", "pipeline", "data", "expert", "sequence")


@dataclass(frozen=True, kw_only=True)
class Parallel:
    """Degrees of parallelism; the run takes `devices` in all.

    `tensor`: each matrix product is cut by columns or rows, attention by heads, and two sums a layer are exchanged. `pipeline`: each
    stage holds a share of the layers. `data`: replicas of all of it, with batches of their own. `expert`: the experts of a mixture are
    spread over the tensor × data ranks of a stage, in groups of this size (it adds no devices). `sequence`: tokens of one sequence are
    cut (context parallelism).

    Raises `InvalidSetting` for a degree that is no whole number of at least 1, and for an expert degree that does not divide
    tensor × data × sequence.
    """

    tensor: int = 1
    pipeline: int = 1
    data: int = 1
    expert: int = 1
    sequence: int = 1

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise InvalidSetting(f"{field.name}={value!r}: expected a whole number of devices, at least 1")
        ranks = self.tensor * self.data * self.sequence
        if ranks % self.expert:
            allowed = ", ".join(str(n) for n in range(1, ranks + 1) if ranks % n == 0)
            raise InvalidSetting(f"expert={self.expert}: experts spread over tensor × data × sequence = {ranks} ranks; allowed: {allowed}")

    @property
    def devices(self) -> int:
        """Devices in all: expert parallelism uses those of the others."""
        return prod((self.tensor, self.pipeline, self.data, self.sequence))

    @staticmethod
    def best_for(model: Any, hw: Any, devices: int, global_batch: int, *, objective: str = "time", **settings: Any) -> Any:
        """The `Layout` of least "time" or "energy" in which `devices` of `hw` train `model` with `global_batch` samples a step.

        `settings`: `cluster`, `practice`, and those of `Training` (`sequence_tokens`, `precision`, `optimizer`, …); micro-batch,
        interleaving, recomputation and sharding are chosen, unless in `fixed`. `Layout.parallel` and `Layout.run` go into `estimate`,
        `Layout.why` says what it beat.
        Raises `Infeasible` where nothing fits or divides.
        """
        from estimator.hardware.catalogue import load_profile
        from estimator.model.architecture import load_architecture
        from estimator.run.layout import layout_for
        from estimator.run.settings import Training

        chosen = {name: settings.pop(name) for name in ("cluster", "practice", "fixed") if name in settings}
        subject = load_architecture(model) if isinstance(model, str) else model
        subject, run = subject.language, Training(global_batch=global_batch, **settings).within(subject.max_positions)
        return layout_for(subject, load_profile(hw), devices, run, objective=objective, **chosen)

    def __str__(self) -> str:
        used = [f"{field.name} {getattr(self, field.name)}" for field in fields(self) if getattr(self, field.name) > 1]
        return ", ".join(used) or "one device"
