"""A simulated card with a clock of its own: what work it was given, what it draws, and the sensors that see part of that.

Time is virtual, so minutes of measurement take milliseconds. Sensors are those of Yang, Adamek and Armour (arXiv:2312.02741): power is
refreshed every 100 ms and averages the last 25 ms ("part-time") or the last second ("average"); the counter moves every 100 ms.
"""

import random
from bisect import bisect_right
from dataclasses import dataclass, field

REFRESH = 0.1
LOOKS = {"part-time": 0.025, "average": 1.0}
QUERY = 0.0003  # s that one query takes
COLD = 345e6


@dataclass
class Card:
    """`noise`: relative standard deviation of each power reading; `drift`: relative growth of power per minute of use."""

    idle: float = 74.0
    context: float = 131.0
    sensor: str = "part-time"
    step: float = 0.1
    noise: float = 0.0
    drift: float = 0.0
    now: float = 0.0
    held: bool = False
    clock: float = COLD
    pids: list[int] = field(default_factory=list)

    def __post_init__(self):
        self.begins, self.joules, self.watts, self.clocks = [0.0], [0.0], [self.still], [COLD]
        self.free = 0.0

    @property
    def still(self) -> float:
        """W without work."""
        return self.context if self.held else self.idle

    def work(self, seconds: float, watts: float, clock: float) -> float:
        """Queue work behind what is queued; gives the moment at which it ends."""
        begin = max(self.now, self.free)
        self._draw(self.free, self.still, COLD)
        self._draw(begin, watts * (1 + self.drift * begin / 60), clock)
        self.free = begin + seconds
        self._draw(self.free, self.still, COLD)
        return self.free

    def rest(self, seconds: float, watts: float):
        """Time without work, in which the card draws `watts` from now on."""
        self._draw(max(self.now, self.free), watts, COLD)
        self.now += seconds

    def hold(self):
        """A process makes a context: clocks go up, power too."""
        self.held = True
        self._draw(max(self.now, self.free), self.still, COLD)

    def wait(self, moment: float):
        self.now = max(self.now, moment)

    def _draw(self, moment: float, watts: float, clock: float):
        if moment < self.begins[-1]:
            return
        self.joules.append(self.joules[-1] + self.watts[-1] * (moment - self.begins[-1]))
        self.begins.append(moment)
        self.watts.append(watts)
        self.clocks.append(clock)

    def drawn(self, moment: float) -> float:
        """True J up to a moment."""
        index = bisect_right(self.begins, moment) - 1
        return self.joules[index] + self.watts[index] * (moment - self.begins[index])

    def counter(self) -> float:
        """J as the counter shows them: up to its last step."""
        self.now += QUERY
        return self.drawn(self.now // self.step * self.step)

    def power(self) -> float:
        """W as the sensor shows them: the mean of what it looked at before its last refresh."""
        self.now += QUERY
        tick = self.now // REFRESH * REFRESH
        begin = max(tick - LOOKS[self.sensor], 0.0)
        seen = (self.drawn(tick) - self.drawn(begin)) / (tick - begin) if tick > begin else self.still
        return seen * random.Random(round(tick / REFRESH)).gauss(1.0, self.noise)

    def core_clock(self) -> float:
        self.now += QUERY
        return self.clocks[bisect_right(self.begins, self.now) - 1]
