"""Times of serving estimates: one by name after the first, and a sweep of 10,000 decode steps, beside the time of one estimate each.

python -m benchmarks.serving
"""

from time import process_time

import numpy as np

from estimator import Serving, estimate, load_architecture, load_profile
from estimator.run.grid import decode_grid
from estimator.run.stack import load_stack

MODEL, HARDWARE, REPEATS, SIDE = "llama-3.1-8b", "H100", 20, 100


def best_of(function, repeats: int = REPEATS) -> float:
    """Seconds of processor time of the fastest of some calls."""
    times = []
    for index in range(repeats):
        start = process_time()
        function(index)
        times.append(process_time() - start)
    return min(times)


def main() -> None:
    """Print both times, and what a sweep saves."""
    one = best_of(lambda index: estimate(MODEL, HARDWARE, Serving(concurrency=32 + index)))
    batches, contexts = np.arange(1, SIDE + 1) * 4, np.arange(1, SIDE + 1) * 80
    model, profile, stack = load_architecture(MODEL), load_profile(HARDWARE), load_stack("serving")
    grid = best_of(lambda index: decode_grid(model, profile, stack, batches, contexts), 3)
    print(f"one Serving estimate of {MODEL} on {HARDWARE} by name: {one * 1e3:.1f} ms")
    print(f"{SIDE * SIDE} decode steps, batch × context: {grid:.2f} s, {one * SIDE * SIDE / grid:.0f} times as fast as one by one")


if __name__ == "__main__":
    main()
