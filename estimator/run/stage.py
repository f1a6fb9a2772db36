"""A stage of a training run: a stretch that goes on otherwise than the rest, with longer sequences, larger batches, another layout."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from typing import Any

from estimator.errors import EstimatorError, InvalidSetting, unknown_name
from estimator.run.parallel import Parallel
from estimator.run.training_settings import AMOUNTS, Training
from estimator.units import require_count

BESIDE = ("name", "model", "devices", "parallel")  # what a stage has beside settings of its own
WHOLE = ("runs", "stages")  # what a run says of all of its stages
OWN = tuple(field.name for field in fields(Training) if field.name not in WHOLE)
STAGED = (*BESIDE, *OWN)  # what may be said of a stage


@dataclass(frozen=True, init=False)
class Stage:
    """A stage of `Training(stages=[Stage(…), …])`: how long it is, and what differs from the run that it belongs to.

    `settings` are those of `Training`, all but `runs`; one of tokens, steps, or epochs with samples says how long the stage is.
    `devices` or `parallel` in place of those of the run, where it is spread otherwise; `model` in place of its model, where that
    grows. `name` is what reports call it, by default its number. Raises `UnknownName` and `InvalidSetting`.
    """

    name: str
    model: Any
    devices: int | None
    parallel: Parallel | None
    settings: Mapping[str, Any]

    def __init__(
        self, *, name: str = "", model: Any = None, devices: int | None = None, parallel: Parallel | None = None, **settings: Any
    ) -> None:
        for setting in settings:
            if setting in WHOLE:
                raise InvalidSetting(f"{setting}={settings[setting]!r}: a stage has none of its own; give Training({setting}=…)")
            if setting not in OWN:
                raise unknown_name("setting of a stage", setting, STAGED, "A stage takes settings of Training.")
        if devices is not None:
            require_count("devices", devices)
        if not isinstance(name, str):
            raise InvalidSetting(f"name={name!r}: expected a text")
        if parallel is not None and not isinstance(parallel, Parallel):
            raise InvalidSetting(f"parallel={parallel!r}: expected Parallel(tensor=…, pipeline=…, data=…, …)")
        for attribute, value in zip(self.__dataclass_fields__, (name, model, devices, parallel, settings)):
            object.__setattr__(self, attribute, value)

    def of(self, run: Training) -> Training:
        """The stage as a run of its own. Raises `InvalidSetting` or `UnknownName` for what it may not be."""
        with self.named():
            if not any(amount in self.settings for amount in AMOUNTS):
                raise InvalidSetting("nothing says how long it is; give it tokens=…, steps=…, or epochs=… and samples=…")
            return replace(run, stages=None, **self.settings)

    def spread(self, parallel: Parallel | None, devices: int | None) -> dict[str, Any]:
        """`parallel` and `devices` of the stage, those of the run where it says neither."""
        own = self.parallel is not None or self.devices is not None
        return {"parallel": self.parallel if own else parallel, "devices": self.devices if own else devices}

    def count(self, parallel: Parallel | None, devices: int | None) -> int:
        """Devices of the stage."""
        where = self.spread(parallel, devices)
        return where["parallel"].devices if where["parallel"] else where["devices"] or 1

    @contextmanager
    def named(self) -> Iterator[None]:
        """Errors inside say which stage they are about."""
        try:
            yield
        except EstimatorError as error:
            raise type(error)(f"stage {self.name!r}: {error}") from None


def numbered(stages: Any) -> tuple[Stage, ...]:
    """The stages, those without a name called by their number. Raises `InvalidSetting` where they are none, or share a name."""
    given = list(stages) if isinstance(stages, Iterable) else []
    if not given or not all(isinstance(stage, Stage) for stage in given):
        raise InvalidSetting(f"stages={stages!r}: expected a list of at least one, [Stage(tokens=…, sequence_tokens=…), …]")
    names = [stage.name or str(number) for number, stage in enumerate(given, 1)]
    for name in names:
        if names.count(name) > 1:
            raise InvalidSetting(f"name={name!r}: two stages are called so; reports tell them apart by their names")
    return tuple(_renamed(stage, name) for stage, name in zip(given, names))


def _renamed(stage: Stage, name: str) -> Stage:
    return Stage(name=name, model=stage.model, devices=stage.devices, parallel=stage.parallel, **stage.settings)
