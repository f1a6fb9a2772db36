"""The recorded trace: what NVML says while a card idles, works and rests. SYNTHETIC: made by this file, no card was read.

`python -m tests.measurement.trace` writes trace.csv: a poll every 20 ms of the energy counter (mJ) and the power sensor (mW) of a
simulated card with a part-time sensor (25 ms of every 100 ms), a counter that moves every 100 ms, 2 % of noise on each power
reading and 1 % of drift a minute. Its first lines say what the card truly drew, and when.
"""

import csv
from pathlib import Path

from tests.measurement.card import Card

FILE = Path(__file__).with_name("trace.csv")
WORK = ((3.0, 4.0, 690.0), (9.0, 0.35, 520.0), (11.0, 3.0, 340.0))  # s of begin, s of length, W
END, POLL = 16.0, 0.02


def simulate() -> tuple[list[tuple[float, int, int]], Card]:
    """(s, mJ, mW) of each poll, and the card that knows the truth."""
    card, polls, queue = Card(idle=131.0, noise=0.02, drift=0.01), [], list(WORK)
    while card.now < END:
        if queue and card.now >= queue[0][0]:
            _, seconds, watts = queue.pop(0)
            card.work(seconds, watts, 1.7e9)
        moment = card.now
        polls.append((moment, int(card.counter() * 1000), int(card.power() * 1000)))
        card.now = moment + POLL
    return polls, card


if __name__ == "__main__":
    recorded, truth = simulate()
    with FILE.open("w", newline="", encoding="utf-8") as out:
        out.write("# SYNTHETIC: made by tests/measurement/trace.py, no card was read\n")
        for begin, end in ((2.0, 8.0), (3.5, 6.5), (8.5, 10.5), (11.5, 13.5)):
            out.write(f"# {begin} {end} {truth.drawn(end) - truth.drawn(begin):.6g} (s, s, true J)\n")
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["time_s", "energy_mj", "power_mw"])
        writer.writerows((f"{moment:.4f}", energy, power) for moment, energy, power in recorded)
