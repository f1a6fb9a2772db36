"""`python -m estimator models`: the architectures that are bundled."""

import argparse

from tabulate import tabulate

from estimator.model.architecture import list_models, load_architecture
from estimator.units import format_si

WIDTH = 66  # exact: columns of running text


def run(given: list[str]) -> int:
    """List the bundled architectures."""
    argparse.ArgumentParser(prog="python -m estimator models", description="List the bundled architectures.").parse_args(given)
    models = [load_architecture(name) for name in list_models()]
    print(
        tabulate(
            [[m.name, m.kind, format_si(m.parameters, ""), m.format, m.source] for m in models],
            ["name", "kind", "parameters", "format", "source"],
            maxcolwidths=[None, None, None, None, WIDTH],
        )
    )
    return 0
