"""Command line: `python -m estimator llama-3.1-8b --hw H100`, and the commands in `COMMANDS`, such as `… profiles`."""

import sys
from collections.abc import Sequence
from importlib import import_module

from estimator.errors import EstimatorError

# each is a module of estimator.cli; anything else is a model to estimate
COMMANDS = (
    "profiles",
    "models",
    "check",
    "validate",
    "calibrate",
    "what-if",
    "measure",
)  # each is a module of estimator.cli; anything else is a model to estimate


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code. Errors of the estimator print as one message, without a traceback."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    command, rest = (given[0], given[1:]) if given and given[0] in COMMANDS else ("estimate", given)
    try:
        return import_module(f"estimator.cli.{command.replace('-', '_')}").run(rest)
    except EstimatorError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
