"""Folders are the chain, and imports point one way along it."""

import ast
from pathlib import Path

import pytest

from tests.lint.source import PACKAGE, parse, place, python_files, report

FREE = {"errors", "units", "quantity", "facts", "kept"}
PHYSICS = ("transistor", "circuit", "hardware")
BELOW = {
    **{floor: set(PHYSICS[:height]) for height, floor in enumerate(PHYSICS)},
    "model": set(),
    "run": {*PHYSICS, "model"},
    "report": {*PHYSICS, "model", "run"},
    "api": {*PHYSICS, "model", "run", "report"},
    "validation": {*PHYSICS, "model", "run", "report", "api", "estimator"},
    "measurement": {*PHYSICS, "model", "run", "report", "api", "validation", "estimator"},
    "cli": {*PHYSICS, "model", "run", "report", "api", "validation", "measurement", "estimator"},
    "__main__": {"cli"},
    "__init__": {*PHYSICS, "model", "run", "report", "api", "measurement"},  # for type checkers; at run time it imports lazily
    **{free: set() for free in FREE},
}

# Libraries that may be imported in some rooms alone, inside functions too.
ROOMS = {
    "torch": ("model/tracing/", "model/build/", "validation/networks/", "measurement/work/"),
    "transformers": ("model/", "measurement/work/models.py"),
    "pynvml": ("measurement/meters/nvidia.py",),
    "amdsmi": ("measurement/meters/amd.py",),
    "sympy": ("report/formula.py",),
    "fvcore": ("model/tracing/",),
    "scipy": ("validation/",),
    "matplotlib": (),
    "pydantic": ("hardware/", "run/stack.py", "run/practice.py"),
    "tabulate": ("report/", "model/summary.py", "model/cross_check.py", "cli/", "validation/", "measurement/session.py"),
    # Formulas are blind to the type of their numbers, so nothing that computes on one type enters these floors.
    "numpy": ("model/", "hardware/", "run/", "report/", "validation/", "cli/", "api.py"),
}
CONSTANTS = {"e", "pi", "inf"}  # what a formula may take from `math`


def imports(tree: ast.Module):
    """Every import anywhere in the file as (node, dotted module, imported name or None)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import; write `from estimator.…`"
            yield from ((node, node.module, alias.name) for alias in node.names)


def floor_of(module: str, name: str | None) -> str:
    """The floor that an import reaches; `estimator` for the front door itself."""
    parts = module.split(".")[1:] or ([name] if name and ((PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").is_file()) else [])
    return parts[0] if parts else "estimator"


def faults_of(where: str, tree: ast.Module):
    """What a file at `where`, relative to the package, imports against the rules, as (node, fault)."""
    floor = Path(where).parts[0].removesuffix(".py")
    assert floor in BELOW, f"estimator/{where} stands on no known floor; say here what {floor!r} may import"
    for node, module, name in imports(tree):
        library = module.split(".")[0]
        if library == "estimator":
            target = floor_of(module, name)
            if target not in BELOW[floor] | FREE | {floor}:
                yield node, f"{floor} imports {target}"
        elif library in ROOMS and not where.startswith(ROOMS[library] or ("nowhere",)):
            yield node, f"{library} is imported outside {', '.join(ROOMS[library]) or 'the tests'}"
        elif floor in ("transistor", "circuit") and library in ("math", "cmath") and name not in CONSTANTS:
            yield node, f"a formula takes {name or library} from {library}"


def test_imports_point_down_the_chain_and_libraries_stay_in_their_rooms():
    files = [(path, path.relative_to(PACKAGE).as_posix()) for path in python_files("estimator")]
    faults = [f"{place(path, node)} {fault}" for path, where in files for node, fault in faults_of(where, parse(path))]
    assert not faults, report(
        faults, "The chain is transistor < circuit < hardware < run < report, with model beside it; see CONTRIBUTING.md."
    )


@pytest.mark.parametrize(
    ("where", "line"),
    [
        ("circuit/sram.py", "from estimator.hardware.schema import Profile"),
        ("transistor/leakage.py", "import estimator.circuit.wire"),
        ("hardware/roofline.py", "from estimator.model.work import Work"),
        ("model/rules.py", "from estimator.hardware.schema import Profile"),
        ("model/rules.py", "from estimator import hardware"),
        ("run/inference.py", "from estimator.report.table import table"),
        ("report/table.py", "from estimator import estimate"),
        ("units.py", "from estimator.hardware.quantity import Quantity"),
        ("run/inference.py", "def late():\n    import torch"),
        ("model/rules.py", "from sympy import Symbol"),
        ("transistor/leakage.py", "import numpy as np"),
        ("circuit/wire.py", "import math"),
        ("transistor/leakage.py", "from math import exp"),
    ],
)
def test_the_rule_notices(where, line):
    assert list(faults_of(where, ast.parse(line)))


@pytest.mark.parametrize(
    ("where", "line"),
    [
        ("hardware/events.py", "from estimator.circuit.wire import energy"),
        ("run/inference.py", "from estimator.model.work import Work\nfrom estimator import units"),
        ("model/tracing/tracer.py", "import torch"),
        ("transistor/leakage.py", "from math import e"),
    ],
)
def test_the_rule_lets_the_chain_pass(where, line):
    assert not list(faults_of(where, ast.parse(line)))
