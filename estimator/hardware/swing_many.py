"""How far power swings about its mean, for many possible chips at once: `load.Together.swing` for arrays."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from estimator.hardware.events import event_energy
from estimator.hardware.power_many import Array


def priced(chip: Any) -> Callable[[Mapping[str, Any]], tuple[Any, Any]]:
    """Turns events into (J, F): their energy at a voltage V is the first and the second times V²."""
    still, switched = event_energy(chip, 0.0), event_energy(chip, 1.0)

    def parts(events: Mapping[str, Any]) -> tuple[Any, Any]:
        fixed = sum(count * still[event] for event, count in events.items())
        return fixed, sum(count * switched[event] for event, count in events.items()) - fixed

    return parts


def swing_many(chip: Any, work: Any, clock: Array, voltage: Array) -> Array:
    """W by which the board's power exceeds its mean as the limiter sees it: none where it holds the mean, or for `work` of one kernel."""
    response = chip.power.limiter_response
    if response is None or work.launches is None or len(work.cycles) == 1:
        return np.zeros(clock.shape)
    running = np.maximum(work.cycles / clock, work.memory_seconds) + work.overhead
    time = np.maximum(running, work.interval)
    tree = event_energy(chip, 1.0)["clock_cycle"] * clock * (running + (time - running) * chip.clock.gated_share)
    joules, seconds = work.fixed + (work.capacitance + tree) * voltage**2, time.sum(axis=0)
    once = time / np.where(work.launches > 0, work.launches, 1)
    seen = (joules / np.where(time > 0, time, 1) - joules.sum(axis=0) / seconds) * once / (once + response)
    deviation = np.sqrt((time * seen**2).sum(axis=0) / seconds)
    return np.minimum(deviation, seen.max(axis=0)) / chip.power.regulator_efficiency
