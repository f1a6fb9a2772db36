"""How far power swings about its mean, for many possible chips at once: `load.Together.swing` for arrays."""

from typing import Any

import numpy as np

from estimator.hardware.power_many import Array


def swing_many(chip: Any, work: Any, clock: Array, voltage: Array) -> Array:
    """W by which the board's power exceeds its mean as the limiter sees it: none where it holds the mean, or for `work` of one kernel."""
    response = chip.power.limiter_response
    if response is None or work.launches is None or len(work.cycles) == 1:
        return np.zeros(clock.shape)
    time, running = work.spans(clock)
    tree = work.tree * clock * (running + (time - running) * chip.clock.gated_share)
    joules, seconds = work.fixed + (work.capacitance + tree) * voltage**2, time.sum(axis=0)
    once = time / np.where(work.launches > 0, work.launches, 1)
    seen = (joules / np.where(time > 0, time, 1) - joules.sum(axis=0) / seconds) * once / (once + response)
    deviation = np.sqrt((time * seen**2).sum(axis=0) / seconds)
    return np.minimum(deviation, seen.max(axis=0)) / chip.power.regulator_efficiency
