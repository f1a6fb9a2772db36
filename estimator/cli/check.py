"""`python -m estimator check`: sanity against published figures; `… check physics`: every node's energies beside published ones;
`… check flops NAME`: FLOP against other counters."""

import argparse
from collections.abc import Callable

from estimator.validation import physics
from estimator.validation.check import report


def run(given: list[str]) -> int:
    """Run one check; the exit code says whether it passed."""
    parser = argparse.ArgumentParser(prog="python -m estimator check", description="Print sanity checks against published figures.")
    commands = parser.add_subparsers(dest="command", metavar="physics | flops")
    commands.add_parser("physics", help="energies of operations, memory bits and wires at every node, beside the published ones")
    flops = commands.add_parser("flops", help="count a bundled model here, with torch's counter and with fvcore")
    flops.add_argument("name", help="a bundled architecture, such as gpt2")
    flops.add_argument("--batch", type=int, default=1)
    flops.add_argument("--sequence-tokens", type=int, default=128)  # exact: an example
    flops.add_argument("--forward", action="store_true", help="leave out the backward pass")
    options = parser.parse_args(given)
    if options.command == "flops":
        return _flops(options)
    return _printed(physics.report if options.command == "physics" else report)


def _printed(checked: Callable[[], tuple[str, bool]]) -> int:
    text, passed = checked()
    print(text)
    return 0 if passed else 1


def _flops(options: argparse.Namespace) -> int:
    """Passes if every disagreement has a cause."""
    from estimator.model.build.flops import cross_check_bundled

    check = cross_check_bundled(options.name, options.batch, options.sequence_tokens, not options.forward)
    print(check)
    return 1 if any(one.unexplained for one in check.comparisons) else 0
