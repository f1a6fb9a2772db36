"""Cost of an interval beside one estimate of Llama-3.1-8B, alternating in one process: medians of processor time and their ratio.

Target: 1,024 samples in less than 10 times the time of one estimate.
"""

import time
from statistics import median

from estimator import Inference, Training, estimate
from estimator.model.architecture import load_architecture
from estimator.report.interval import uncertainty
from estimator.run.uncertainty_propagation import SAMPLES

ROUNDS = 15
TARGET = 10
RUNS = {
    "inference, batch 8, 512 + 256 tokens": Inference(batch=8, prompt_tokens=512, output_tokens=256),
    "training, batch 4, 2048 tokens": Training(batch=4, sequence_tokens=2048),
}


def compare(name):
    """One line: median seconds of both and their ratio."""
    model = load_architecture("llama-3.1-8b")
    estimates, intervals = [], []
    for _ in range(ROUNDS + 1):
        start = time.process_time()
        result = estimate(model, "H100", RUNS[name])
        middle = time.process_time()
        uncertainty(result)
        estimates.append(middle - start)
        intervals.append(time.process_time() - middle)
    one, many = median(estimates[1:]), median(intervals[1:])  # the first round pays for imports and caches
    first = f"{estimates[0]:.3f} s and {intervals[0]:.3f} s"
    return f"{name}: estimate {one:.4f} s, {SAMPLES} samples {many:.4f} s, ratio {many / one:.1f} (target {TARGET}); first run {first}"


if __name__ == "__main__":
    for name in RUNS:
        print(compare(name), flush=True)
