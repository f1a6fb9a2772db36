"""Samples on their way to the device: worker processes decode and augment them while the device computes.

A pass over a data set starts its workers anew and waits for the first batch, which one worker makes alone; from then on the device
waits only where the workers together are slower than it is.
"""

from dataclasses import dataclass

from estimator.errors import unknown_name
from estimator.facts import load_facts
from estimator.hardware.demand import Demand
from estimator.hardware.schema import Profile
from estimator.run.entry import Asked
from estimator.run.phase import Phase, price_asked
from estimator.run.stack import IDLE, Stack

INPUT = "input"


@dataclass(frozen=True)
class Loader:
    """Seconds of one core for a sample, worker processes of each device, and seconds to start them."""

    sample_seconds: float
    workers: float
    start: float

    def wait(self, batch: int, step: float, steps: float) -> float:
        """Seconds for each step of `step` seconds in which the device waits, in a pass of `steps` steps."""
        late = max(batch * self.sample_seconds / self.workers - step, 0.0)
        return late + (self.start + batch * self.sample_seconds) / steps


def loader_of(kind: str) -> Loader:
    """The usual loader of samples of a kind in hardware_profiles/physics/input.toml; raises `UnknownName`."""
    facts = load_facts("physics/input")
    if kind not in facts["sample"]:
        raise unknown_name("kind of sample", kind, facts["sample"], "These are the kinds whose decoding time is known.")
    return Loader(float(facts["sample"][kind]), float(facts["loader"]["workers"]), float(facts["loader"]["start"]))


def waiting(seconds: float, profile: Profile, stack: Stack) -> Phase:
    """The device without work for `seconds`, waiting for data."""
    return price_asked(INPUT, [Asked("waiting for data", IDLE, Demand(interval=seconds))], profile, stack)
