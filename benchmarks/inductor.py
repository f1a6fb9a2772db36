"""The "fused" kernels beside the schedule of torch's own compiler, Inductor: launches and bytes of the same models, as a table.

Bytes are those of its own dependencies, each buffer at most once per kernel; of a slice or a gather only what is read.
Targets: transformers within 12 %, convolutional networks within 20 % of the total bytes. The models in HELD_OUT were chosen
before, and never looked at while, the rule was changed.
"""

import argparse
from statistics import mean

from inductor_models import HELD_OUT, RULE_WRITTEN_ON, build
from inductor_schedule import RULES, schedule
from tabulate import tabulate

from estimator.model.fusion import kernels
from estimator.model.rules import work_of
from estimator.model.rules.registry import FUSING_KINDS
from estimator.model.tracing import trace

HEADER = ("model", "run", "library launches", "library MB", "fused launches", "fused MB", "bytes")


def ours(name, training):
    """(library or fused, bytes) of the traced model's launches."""
    step, inputs = build(name, training, "meta")
    found = []
    for kernel in kernels(trace(step, backward=training, **inputs), "fused"):
        work = work_of(kernel)
        kind = "fused" if kernel.kind in FUSING_KINDS else "library"
        found += [(kind, work.read + work.write, kernel)] * kernel.launches
    return found


def compare(name, training, backend):
    """One row: launches and bytes of both, by kind, and how far the bytes are apart."""
    theirs, mine = schedule(*build(name, training, "cpu"), training, backend), ours(name, training)
    row = [name, "training" if training else "inference"]
    for kind in ("library", "fused"):
        a, b = ([bytes for found, bytes, _ in side if found == kind] for side in (mine, theirs))
        row += [f"{len(a)} / {len(b)}", f"{sum(a) / 1e6:.1f} / {sum(b) / 1e6:.1f}"]
    return [*row, sum(bytes for _, bytes, _ in mine) / sum(bytes for _, bytes, _ in theirs) - 1]


def main():
    """Print both groups of models."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="models; all where none is given")
    parser.add_argument("--backend", choices=RULES, default="triton", help="whose fusion rules: those for GPUs (triton) or for CPUs (cpp)")
    options = parser.parse_args()
    for title, group in (("rule written on", RULE_WRITTEN_ON), ("held out", HELD_OUT)):
        names = [name for name in group if name in (options.names or group)]
        if names:
            rows = [compare(name, training, options.backend) for name in names for training in (False, True)]
            print(f"{title} (ours / Inductor)")
            print(tabulate([[*row[:-1], f"{row[-1]:+.1%}"] for row in rows], HEADER))
            print(f"mean distance {mean(abs(row[-1]) for row in rows):.1%}\n", flush=True)


if __name__ == "__main__":
    main()
