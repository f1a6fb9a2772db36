"""A meter in real time that draws a constant power, its counter moving every 10 ms."""

import time


class SteadyMeter:
    kind = "nvidia"

    def __init__(self, watts=100.0, counts=True, stuck=False, called="NVIDIA H200", strangers=()):
        self.watts, self.counts, self.stuck, self.called, self.others = watts, counts, stuck, called, list(strangers)
        self.closed = False

    def name(self):
        return self.called

    def energy(self):
        if not self.counts:
            return None
        return 1.0 if self.stuck else self.watts * (time.perf_counter() // 0.01 * 0.01)

    def power(self):
        return self.watts

    def clocks(self):
        return 1.5e9, None

    def temperature(self):
        return 318.15

    def limit(self):
        return 700.0

    def facts(self):
        return {"driver": "none: a test"}

    def strangers(self):
        return self.others

    def close(self):
        self.closed = True
