"""What a meter that averages over the last second reads of a kernel in a loop of about a second.

NVML reports power averaged over the last second on most parts since Ampere. A benchmark that starts to read when its loop starts
therefore averages in what came before: warm-up launches, a pause in which tensors were made and kernels compiled, and before it
the loop of the previous case, taken to draw the same power where its code does not say what it ran. Protocols are facts of a benchmark
and stand in protocols.toml.
"""

from dataclasses import dataclass
from math import ceil, fsum, inf

from estimator.hardware.schema import Profile
from estimator.kept import kept
from estimator.validation.chip import idle_with_context
from estimator.validation.prediction import Prediction
from estimator.validation.protocol import entry_of, protocol_of, tables
from estimator.validation.routing import rows_moved
from estimator.validation.rows import Row


@dataclass(frozen=True)
class Loop:
    """One case of a benchmark: `warm_up` launches after a `pause` in s, then a loop, read every `interval` s; `copies` kernels a launch.

    A loop lasts `seconds`, `brief` where a launch takes less than `short` s, and from `fewest` to `most` launches.
    """

    seconds: float
    fewest: int
    most: int
    interval: float
    warm_up: int
    pause: float
    window: float
    short: float = 0.0
    brief: float = 0.0
    copies: int = 1
    before: float = inf  # s that the loop before the pause lasted, after a pause of its own

    def length(self, call: float) -> float:
        """Seconds of a loop of calls of `call` seconds."""
        launch = call * self.copies
        wanted = self.brief if launch < self.short else self.seconds
        return launch * min(self.most, max(self.fewest, int(wanted / launch) + 1))

    def stale(self, call: float) -> float:
        """The share of pauses in what is read of calls of `call` seconds: 0 for a settled reading."""
        start = -call * self.copies * self.warm_up
        earlier = start - self.pause - self.before
        return self._share(call, start - self.pause, start) + self._share(call, earlier - self.pause, earlier)

    def earlier(self, call: float) -> float:
        """The share of the loop before the pause."""
        end = -call * self.copies * self.warm_up - self.pause
        return self._share(call, end - self.before, end)

    def _share(self, call: float, begin: float, end: float) -> float:
        """The share of the time from `begin` to `end` (in s after the loop begins) in the mean of its readings."""
        moments = [step * self.interval for step in range(ceil(self.length(call) / self.interval))]
        within = (min(end, moment) - max(begin, moment - self.window) for moment in moments)
        return fsum(max(0.0, seconds) for seconds in within) / (self.window * len(moments))


@dataclass(frozen=True)
class Lagging(Prediction):
    """As `Prediction` of one kernel call, with the power that a lagging meter reads; its energy is that power times the time.

    Without a `loop` the meter does not lag. The pause draws what a device draws while a process holds it and runs nothing, the loop
    before it `before` in W, or as much as this one where nothing is known of it.
    """

    loop: Loop | None = None
    before: float | None = None

    @property
    def power(self) -> float:
        """Mean power in W as it is read."""
        return self.read_of(super().power, self._time)

    @property
    def energy(self) -> float | None:
        """Joules per call as they are read."""
        return None if self.units is None else self.power * self._time / self.units

    def energy_in(self, seconds: float) -> float:
        """Joules per call as they are read if it took `seconds`."""
        return self.read_of(super().energy_in(seconds) / seconds, seconds) * seconds

    def read_of(self, power: float, call: float) -> float:
        """What is read in W of a steady `power` while a call takes `call` seconds."""
        if self.loop is None:
            return power
        earlier = 0.0 if self.before is None else (power - self.before) * self.loop.earlier(call)
        return power - (power - paused_power(self.profile)) * self.loop.stale(call) - earlier


def loop_of(row: Row, profile: Profile) -> Loop | None:
    """The loop in which a row's kernel was read; None where the benchmark's protocol is not known or the meter does not lag."""
    protocol, nvml = protocol_of(row), tables()["nvml"]
    if not protocol or any(name in profile.architecture for name in nvml["instantaneous"]):
        return None
    numbers = {name: protocol[name] for name in ("seconds", "fewest", "most", "interval", "warm_up", "short", "brief")}
    copies = row.whole("weight_copies_rotated", 1)
    return Loop(**numbers, pause=_pause(row), window=nvml["window"]["value"], copies=copies)


def _pause(row: Row) -> float:
    """Seconds without work before a row's loop, those in which the host moves rows from expert to expert included."""
    entry = entry_of(row, "pause")
    if "row_moved" not in entry:
        return entry["value"]
    sizes = (row.whole(column) for column in ("num_tokens", "experts", "topk"))
    return entry["value"] + entry["row_moved"] * rows_moved(row.text("distribution"), *sizes)


@kept(256)  # exact: more chips than a data set names
def paused_power(profile: Profile) -> float:
    """What a device draws in W while a process holds it and runs nothing."""
    return idle_with_context(profile).power
