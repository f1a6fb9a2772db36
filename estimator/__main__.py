"""Command line: `python -m estimator llama-3.1-8b --hw H100`, and the commands in `COMMANDS`, such as `… profiles`."""

import os
import sys
from collections.abc import Sequence
from importlib import import_module

from estimator.cli import COMMANDS
from estimator.errors import EstimatorError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code. Errors of the estimator print as one message, without a traceback."""
    given = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    command, rest = (given[0], given[1:]) if given and given[0] in COMMANDS else ("estimate", given)
    try:
        return import_module(f"estimator.cli.{command.replace('-', '_')}").run(rest)
    except EstimatorError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # whoever reads, such as `head`, has seen enough; nothing more may be written, at exit neither
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


if __name__ == "__main__":
    sys.exit(main())
