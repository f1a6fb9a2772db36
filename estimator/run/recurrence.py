"""Recurrences over time on a parallel machine: the chunks of a sequence wait for each other."""

from math import ceil

from estimator.hardware.schema import Profile
from estimator.model.work import Kernel

STATE_PASS = "est.state_pass"


def serial_rounds(kernel: Kernel, profile: Profile) -> float | None:
    """Tiles that a multiprocessor works off one after the other where a state is handed from chunk to chunk; None for other kernels.

    A chunk cannot start before the one in front of it has left its state, so each costs the filling and draining of one tile,
    however few states there are; more states than multiprocessors take turns.
    """
    signature = kernel.signatures[0]
    if signature.op != STATE_PASS:
        return None
    return float(signature["steps"]) * ceil(signature["state"].shape[0] / float(profile.die.multiprocessors))
