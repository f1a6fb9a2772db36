"""`python -m estimator check`: sanity against published figures."""

import argparse

from estimator.validation.check import report


def run(given: list[str]) -> int:
    """Print all checks; the exit code says whether those with a bound keep it."""
    argparse.ArgumentParser(prog="python -m estimator check", description="Print sanity checks against published figures.").parse_args(
        given
    )
    text, passed = report()
    print(text)
    return 0 if passed else 1
