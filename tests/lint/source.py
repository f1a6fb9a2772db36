"""The project's own source as the lint tests read it."""

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "estimator"


def python_files(*folders: str) -> list[Path]:
    """All Python files below these folders of the project, in a stable order."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


@cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def place(path: Path, node: ast.AST | None = None) -> str:
    """`estimator/units.py:42`, as an editor opens it."""
    name = path.relative_to(ROOT).as_posix()
    return f"{name}:{node.lineno}" if node is not None and hasattr(node, "lineno") else name


def report(faults: list[str], rule: str) -> str:
    """The message of a failed lint test: every fault, then the rule that it breaks."""
    return "\n".join([f"{len(faults)} found:", *(f"  {fault}" for fault in faults), rule])
