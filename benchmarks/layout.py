"""Time of `Parallel.best_for`, imports left out, from one node to thousands of devices.

Target: two seconds for each search on one core, however many layouts fit.

python -m benchmarks.layout
"""

from time import process_time

from estimator import Parallel

TARGET = 2.0
RUNS = {
    "llama-3.1-8b": ("H100", 1024, 2048, {"sequence_tokens": 8192}),
    "llama-3.1-70b": ("H100", 2048, 2048, {"sequence_tokens": 8192}),
    "llama-3.1-405b": ("H100", 16384, 2048, {"sequence_tokens": 8192}),
    "gpt3-175b": ("A100", 1024, 1536, {"sequence_tokens": 2048}),
    "deepseek-v3": ("H800", 2048, 15360, {"sequence_tokens": 4096, "precision": "fp8"}),
}


def main():
    """One line for each run: seconds of the search, and what it chose."""
    Parallel.best_for("gpt2", "H100", 8, 8, sequence_tokens=1024)  # imports
    for model, (hw, devices, batch, settings) in RUNS.items():
        start = process_time()
        found = Parallel.best_for(model, hw, devices, batch, **settings)
        took = process_time() - start
        print(f"{model:16s} {devices:6d} x {hw}  {took:5.2f} s {'' if took <= TARGET else 'SLOW '} {found}")


if __name__ == "__main__":
    main()
