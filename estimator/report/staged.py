"""A training run of several stages as the sum of their estimates."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from estimator.errors import WARNING
from estimator.report.estimate import Estimate
from estimator.run.facility import Footprint
from estimator.run.meter import Meters, added
from estimator.run.settings import Training, describe
from estimator.run.training_plan import useful_flop

ONWARDS = " → "  # between the models of a run that grows


def combined(stages: Mapping[str, Estimate], run: Training) -> Estimate:
    """The `Estimate` of stages that follow each other: their phases one after the other, and each figure the sum of theirs."""
    each = list(stages.values())
    return Estimate(
        model=ONWARDS.join(dict.fromkeys(one.model for one in each)),
        hardware=each[0].hardware,
        stack=each[0].stack,
        run=describe(run),
        phases=tuple(replace(phase, stage=name) for name, one in stages.items() for phase in one.phases),
        tokens=sum(one.tokens for one in each),
        samples=sum(one.samples for one in each),
        steps=sum(one.steps for one in each),
        parameters=each[-1].parameters,
        coverage=_coverage(each),
        assumptions=_assumptions(stages),
        numbers=tuple({number.name: number for one in each for number in one.numbers}.values()),
        devices=max(one.devices for one in each),
        mfu=_utilization(each),
        facility=_at_meter(each),
        stages=stages,
    )


def _coverage(each: Sequence[Estimate]) -> dict[str, int]:
    met: dict[str, int] = {}
    for operation, count in (item for one in each for item in (one.coverage or {}).items()):
        met[operation] = met.get(operation, 0) + count
    return met


def _assumptions(stages: Mapping[str, Estimate]) -> tuple[str, ...]:
    """What all stages take for granted once, the rest with the stage that does."""
    shared = set.intersection(*(set(one.assumptions) for one in stages.values()))
    own = [_said(name, text) for name, one in stages.items() for text in one.assumptions if text not in shared]
    common = [text for text in next(iter(stages.values())).assumptions if text in shared]
    return (*own, "stages follow each other without a pause", *common)


def _said(name: str, text: str) -> str:
    warning = WARNING if text.startswith(WARNING) else ""
    return f"{warning}stage {name}: {text.removeprefix(warning)}"


def _utilization(each: Sequence[Estimate]) -> float | None:
    """MFU of all: the FLOP that count over those that the peaks allow, of which each stage has its own."""
    if any(one.mfu is None for one in each):
        return None
    done = [useful_flop(one.phases) for one in each]
    return sum(done) / sum(flop / one.mfu for flop, one in zip(done, each) if one.mfu)


def _at_meter(each: Sequence[Estimate]) -> Footprint | None:
    read = [one.facility for one in each if one.facility is not None]
    if not read:
        return None
    energy, time = sum(one.energy for one in each), sum(one.time for one in each)
    meters = tuple((one.facility.meter, one.energy / energy, one.time / time) for one in each if one.facility)
    return added(read, Meters(meters))  # type: ignore[arg-type]
