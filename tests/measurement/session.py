"""A session on a card whose constants are known: SYNTHETIC, no card was read.

An H200 whose constants were changed as `TRUTH` says is priced by the estimator itself: seconds, watts and clock of every row that
`python -m estimator measure` runs. Replayed on a simulated card with noise, drift and lagging sensors (`Replay`), it stands in
for a measurement: what comes back out of it can be compared with what went in.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from estimator.hardware.catalogue import load_profile
from estimator.hardware.schema import Profile
from estimator.measurement.suites import rows_of
from estimator.measurement.tidy import Site
from estimator.quantity import Quantity
from estimator.validation.evaluate import foretell
from estimator.validation.hardware import use
from estimator.validation.rows import NotPredicted, Row
from tests.measurement.card import COLD, Card

HARDWARE, LIMIT = "NVIDIA H200", 700.0
TRUTH = {  # how far each constant lies from what the catalogue says, towards the high (+) or the low (-) end of its range
    ("process", "leakage"): +0.45,
    ("clock", "tree_capacitance"): +0.4,
    ("memory", "energy_per_bit"): -0.75,
    ("l2", "bit_capacitance"): +0.6,
    ("achievable", "tensor"): -0.75,
    ("achievable", "memory"): -0.8,
    ("achievable", "l2"): +0.7,
    ("power", "board"): +0.55,
}


def true_profile() -> Profile:
    """The H200 of the session."""
    profile = load_profile(HARDWARE)
    for (section, name), share in TRUTH.items():
        part = getattr(profile, section)
        value = getattr(part, name)
        end = value.high if share > 0 else value.low
        true = Quantity(value + abs(share) * (end - value), value.unit, value.low, value.high, "synthetic")
        profile = profile.model_copy(update={section: part.model_copy(update={name: true})})
    return profile


@dataclass(frozen=True)
class Truth:
    """Seconds of a call (0 where the row has none), W and Hz."""

    seconds: float
    watts: float
    hertz: float


@cache
def session() -> dict[str, Truth]:
    """The truth of every row, by name."""
    site = Site(HARDWARE, LIMIT, "synthetic")
    use(true_profile())
    try:
        return {row.row_id: _truth(row, foretell(site.placed(row))) for row in rows_of()}
    finally:
        use()


def _truth(row: Row, said) -> Truth:
    clock = said.phases[0].point.clock if hasattr(said, "phases") else COLD
    return Truth(0.0 if row.text("unit") == "second" else said.time, said.power, clock)


class Queued:
    def __init__(self, card: Card, end: float):
        self.card, self.end = card, end

    def done(self) -> bool:
        return self.card.now >= self.end

    def wait(self):
        self.card.wait(self.end)


class Replay:
    """A bench that runs the session on a simulated card; `missing` rows fail as a card without that format would."""

    def __init__(self, card: Card, missing: str = "nothing"):
        self.card, self.missing, self.session = card, missing, session()

    def prepare(self, row: Row) -> Callable:
        if self.missing in row.row_id:
            raise NotPredicted("this device or this torch cannot do it: no such kernel")
        if row.text("op") != "idle":
            self.card.hold()
        known = self.session[row.row_id]
        loops = row.whole("loops", 1)

        def launch(count: int) -> Callable[[], None]:
            if not known.seconds:  # a rest, which the host sleeps through
                self.card.rest(0.01 * count, known.watts)
                return Queued(self.card, self.card.now)
            return Queued(self.card, self.card.work(count * loops * known.seconds, known.watts, known.hertz))

        return launch

    def now(self) -> float:
        return self.card.now

    def sleep(self, seconds: float):
        self.card.now += seconds

    def release(self):
        pass
