"""The recorded session: SYNTHETIC, no card was read. Regenerate with `python -m tests.measurement.session`.

An H200 whose constants were changed as `TRUTH` says is priced by the estimator itself: seconds, watts and clock of every row that
`python -m estimator measure` runs go to session.csv. Replayed on a simulated card with noise, drift and lagging sensors
(`Replay`), it stands in for a measurement: what comes back out of it can be compared with what went in.
"""

import csv
from collections.abc import Callable
from pathlib import Path

from estimator.hardware.catalogue import load_profile
from estimator.hardware.schema import Profile
from estimator.measurement.suites import rows_of
from estimator.measurement.tidy import Site
from estimator.validation.evaluate import foretell
from estimator.validation.hardware import use
from estimator.validation.rows import NotPredicted, Row
from tests.measurement.card import Card

FILE = Path(__file__).with_name("session.csv")
HARDWARE, LIMIT = "NVIDIA H200", 700.0
TRUTH = {  # factors on the constants of the H200 that the catalogue describes, all inside their stated ranges
    ("process", "leakage"): 0.85,
    ("clock", "tree_capacitance"): 1.15,
    ("memory", "energy_per_bit"): 0.9,
    ("l2", "bit_capacitance"): 1.2,
    ("achievable", "tensor"): 0.95,
    ("achievable", "memory"): 1.02,
    ("achievable", "l2"): 0.95,
    ("power", "board"): 1.3,
}


def true_profile() -> Profile:
    """The H200 of the session."""
    profile = load_profile(HARDWARE)
    for (section, name), factor in TRUTH.items():
        part = getattr(profile, section)
        value = getattr(part, name).scaled(factor, "synthetic")
        profile = profile.model_copy(update={section: part.model_copy(update={name: value})})
    return profile


def generate() -> list[dict[str, str]]:
    """Seconds of a call, watts and Hz of every row on the true card."""
    site = Site(HARDWARE, LIMIT, "synthetic")
    use(true_profile())
    try:
        return [_recorded(site.placed(row)) for row in rows_of()]
    finally:
        use()


def _recorded(row: Row) -> dict[str, str]:
    said = foretell(row)
    clock = said.phases[0].point.clock if hasattr(said, "phases") else 345e6
    return {"row_id": row.row_id, "seconds": f"{said.time or 0:.6g}", "watts": f"{said.power:.6g}", "hertz": f"{clock:.6g}"}


def recorded() -> dict[str, dict[str, str]]:
    """The committed session by row."""
    with FILE.open(encoding="utf-8") as text:
        return {row["row_id"]: row for row in csv.DictReader(line for line in text if not line.startswith("#"))}


class Queued:
    def __init__(self, card: Card, end: float):
        self.card, self.end = card, end

    def done(self) -> bool:
        return self.card.now >= self.end

    def wait(self):
        self.card.wait(self.end)


class Replay:
    """A bench that runs the recorded session on a simulated card; `missing` rows fail as a card without that format would."""

    def __init__(self, card: Card, missing: str = "nothing"):
        self.card, self.missing, self.session = card, missing, recorded()

    def prepare(self, row: Row) -> Callable:
        if self.missing in row.row_id:
            raise NotPredicted("this device or this torch cannot do it: no such kernel")
        if row.text("op") != "idle":
            self.card.hold()
        known = self.session[row.row_id]
        seconds, watts, clock = (float(known[name]) for name in ("seconds", "watts", "hertz"))
        loops = row.whole("loops", 1)

        def launch(count: int) -> Callable[[], None]:
            if not seconds:  # a rest, which the host sleeps through
                self.card.rest(0.01 * count, watts)
                return Queued(self.card, self.card.now)
            return Queued(self.card, self.card.work(count * loops * seconds, watts, clock))

        return launch

    def now(self) -> float:
        return self.card.now

    def sleep(self, seconds: float):
        self.card.now += seconds

    def release(self):
        pass


if __name__ == "__main__":
    with FILE.open("w", newline="", encoding="utf-8") as out:
        out.write("# SYNTHETIC: priced by the estimator with changed constants, see session.py; nothing was measured\n")
        writer = csv.DictWriter(out, ["row_id", "seconds", "watts", "hertz"])
        writer.writeheader()
        writer.writerows(generate())
