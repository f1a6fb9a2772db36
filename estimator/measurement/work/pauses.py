"""Work with pauses: nothing at all, launches at a given pace, bursts with rests between them."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from estimator.measurement.work.kernels import matmul
from estimator.validation.rows import Row

Call = Callable[[], Any]
LATEST = 0.1  # exact: seconds of missed turns that are made up for, so that reading a meter does not slow the pace
REST = 0.01  # exact: seconds of one call that does nothing


def nothing(row: Row, device: torch.device) -> Call:
    """A rest, while this process holds the device."""
    return partial(time.sleep, REST)


def launch_gap(row: Row, device: torch.device) -> Call:
    """A matrix product every `interval_s`: the host waits awake for its next turn, the device asleep."""
    call, interval = matmul(row, device), row.positive("interval_s")
    due = time.perf_counter()

    def paced() -> None:
        nonlocal due
        while time.perf_counter() < due:
            pass
        call()
        due = max(due, time.perf_counter() - LATEST) + interval

    return paced


def duty_cycle(row: Row, device: torch.device) -> Call:
    """`calls` matrix products back to back, then `pause_s` of rest."""
    call, calls, pause = matmul(row, device), row.whole("calls"), row.positive("pause_s")

    def cycle() -> None:
        for _ in range(calls):
            call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        time.sleep(pause)

    return cycle


BUILDERS = {"context": nothing, "launch_gap": launch_gap, "duty_cycle": duty_cycle}
