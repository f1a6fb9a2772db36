"""Decode steps at every pair of many batches and contexts at once: seconds and joules of a step as arrays.

Only attention depends on the context, and what it asks of a device grows in proportion to the sequences; everything else depends on the
batch alone. So kernels are worked out once for each batch and once for each context, and the operating points of all pairs are
settled together (`estimator.hardware.settle_many`).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from estimator.hardware.demand import Demand
from estimator.hardware.events import CYCLE, count_events, priced
from estimator.hardware.roofline import duration, fill_cycles
from estimator.hardware.schema import Profile
from estimator.hardware.settle_many import WorkMany, settle_many
from estimator.model.architecture import Architecture
from estimator.run.engine_kernels import Batch
from estimator.run.entry import Asked
from estimator.run.lengths import Lengths
from estimator.run.parallel import Parallel
from estimator.run.serving_step import Steps
from estimator.run.stack import Stack, host_seconds

Array = Any
ATTENTION = "attention"
SPANS = ("cycles", "memory_seconds", "link_seconds", "overhead", "interval")


def decode_grid(
    model: Architecture,
    profile: Profile,
    stack: Stack,
    batches: Sequence[float],
    contexts: Sequence[float],
    parallel: Parallel | None = None,
) -> dict[str, Array]:
    """`seconds`, `energy` (J) and `power` (W) of one decode step on one device, as arrays of shape (batches, contexts).

    Every sequence of a batch has the same number of tokens in its cache. Raises as `Serving` does for degrees that do not divide heads.
    """
    steps = Steps(model, profile, stack, parallel or Parallel())
    asked = [_asked(steps, float(batch), float(contexts[0])) for batch in batches]
    fixed = [[item for item in items if item.kind != ATTENTION] for items in asked]
    rows = [_spread(column, profile, along=0, many=len(contexts)) for column in zip(*fixed)]
    sizes = np.repeat(np.asarray(batches, dtype=float), len(contexts))
    # tiles that a multiprocessor works off one after the other do not grow in proportion, and do not see the context
    fills = zip(*[[fill_cycles(item.demand, profile) for item in items if item.kind == ATTENTION] for items in asked])
    for column, fill in zip(zip(*[_cached(steps, float(context)) for context in contexts]), fills):
        grown = _scaled(_spread(column, profile, along=1, many=len(batches)), sizes)
        rows.append(grown | {"cycles": grown["cycles"] + np.repeat(fill, len(contexts))})
    gaps = np.array([host_seconds(stack, batch) for batch in batches])
    rows.append({"launches": 1.0, "interval": np.repeat(gaps, len(contexts)), "events": {}})
    point = settle_many(profile, _together(rows, len(sizes), profile))
    shape = (len(batches), len(contexts))
    return {name: array.reshape(shape) for name, array in
            {"seconds": point.seconds, "energy": point.power * point.seconds, "power": point.power}.items()}  # fmt: skip


def _asked(steps: Steps, batch: float, context: float) -> list[Asked]:
    return [part.asked for part in steps.parts(Batch(batch, Lengths(context)))]


def _cached(steps: Steps, context: float) -> list[Asked]:
    """Attention of one sequence, without the filling of its tiles."""
    found = steps.attention(Batch(1.0, Lengths(context)))
    return [replace(item, demand=replace(item.demand, rounds=0.0)) for item in found]


def _spread(column: Sequence[Asked], profile: Profile, along: int, many: int) -> dict[str, Any]:
    """One kernel at every batch (along 0) or every context (along 1), repeated over the other."""
    repeat = np.repeat if along == 0 else np.tile
    spans = [duration(item.demand, profile) for item in column]
    counts = [_by_event(item.demand, profile) for item in column]
    row: dict[str, Any] = {name: repeat([getattr(span, name) for span in spans], many) for name in SPANS}
    names = dict.fromkeys(name for one in counts for name in one)
    row["events"] = {name: repeat([one.get(name, 0.0) for one in counts], many) for name in names}
    return row | {"launches": column[0].launches}


def _by_event(demand: Demand, profile: Profile) -> dict[str, float]:
    found: dict[str, float] = {}
    for (_, event), count in count_events(demand, profile).items():
        found[event] = found.get(event, 0.0) + count
    return found


def _scaled(row: dict[str, Any], sizes: Array) -> dict[str, Any]:
    """A kernel worked out for one sequence, with as many as `sizes` says."""
    grown = {name: row[name] * sizes for name in ("cycles", "memory_seconds")}
    return row | grown | {"events": {name: count * sizes for name, count in row["events"].items()}}


def _together(rows: Sequence[dict[str, Any]], many: int, profile: Profile) -> WorkMany:
    energy, launches = priced(profile), [float(row["launches"]) for row in rows]

    def table(name: str) -> Array:
        return np.array([np.broadcast_to(count * row.get(name, 0.0), many) for row, count in zip(rows, launches)])

    elsewhere = np.maximum(table("memory_seconds"), table("link_seconds"))
    parts = ((*energy(row["events"].items()), 1.0) for row in rows)
    fixed, capacitance, times = (
        np.array([np.broadcast_to(count * part, many) for part, count in zip(column, launches)]) for column in zip(*parts)
    )
    gaps = table("overhead"), table("interval")
    return WorkMany(table("cycles"), elsewhere, *gaps, fixed, capacitance, np.broadcast_to(energy(CYCLE)[1], many), times)
