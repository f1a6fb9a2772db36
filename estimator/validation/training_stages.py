"""Published runs of several stages: what is known of each, and their predictions as that of the whole run."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from estimator.run.training_plan import useful_flop
from estimator.validation.metered import Metered


def stages_of(how: Mapping[str, Any], tokens: float) -> Iterator[tuple[dict[str, Any], float]]:
    """What is known of each stage, and its tokens: its `length` as far as the run goes, or all that are left where it has none."""
    for stage in how.get("stages", [{}]):
        taken = min(stage.get("length", tokens), tokens)
        tokens -= taken
        if taken:
            yield {**how, **stage}, taken


def in_a_row(stages: Sequence[Metered]) -> Metered:
    """Stages that follow each other, as one run; where seconds of all devices were counted, those of each stage's own."""
    if len(stages) == 1:
        return stages[0]
    named = {str(number): one for number, one in enumerate(stages, 1)}
    phases = tuple(replace(phase, stage=name) for name, one in named.items() for phase in one.phases)
    notes = tuple(f"stage {name}: {note}" for name, one in named.items() for note in one.assumptions)
    whole = replace(stages[0], phases=phases, devices=max(one.devices for one in stages), clocks=1.0)
    counted = sum(one.time for one in stages if one.time)
    flop = [useful_flop(one.phases) for one in stages]
    used = sum(flop) / sum(done / one.mfu for done, one in zip(flop, stages) if one.mfu)
    return replace(whole, clocks=counted / (whole.time or counted), assumptions=tuple(dict.fromkeys(notes)), mfu=used)
