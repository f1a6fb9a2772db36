"""Code holds 0, 1, 2, ½, 10 and exact constants; whatever was measured or published lives in a profile with its source.

Structure passes: positions (`shape[3]`, `range(4)`), lengths and ranks compared, matched or subtracted, digits shown, small whole
powers. Any other number needs `# exact: why` on its line, or on the first line of the statement that holds it.
"""

import ast
import re
from pathlib import Path

import pytest

from tests.lint.source import PACKAGE, parse, place, python_files, report

PLAIN = {0, 1, 2, 0.5, 10}
EXACT_FILES = {"units.py"}  # SI prefixes, by definition
EXACT_NAMES = {("model/work.py", "BYTES")}  # bytes per element, by definition
SETTINGS = ("run/settings.py", "run/training_settings.py", "run/serving.py")
# whole-number defaults of the user's settings are questions, not facts; reports list them
SMALL_POWERS = {3, 4}
PRAGMA = re.compile(r"# exact(:|,| to) \S+")


def is_number(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, (int, float, complex)) and not isinstance(node.value, bool)


def is_whole(node: ast.AST) -> bool:
    return is_number(node) and isinstance(node.value, int)


def is_size(node: ast.AST) -> bool:
    """`len(x)`, `x.ndim`, `x.dim()`."""
    if isinstance(node, ast.Call):
        node = node.func
    return (isinstance(node, ast.Name) and node.id == "len") or (isinstance(node, ast.Attribute) and node.attr in ("ndim", "dim"))


def structural(node: ast.AST) -> list[ast.AST]:
    """The parts of `node` in which whole numbers say where or how many, not how much."""
    match node:
        case ast.Subscript(slice=index):
            return [index]
        case ast.Call(func=ast.Name(id="range" | "round" | "islice" | "format_si"), args=args):
            return args
        case ast.Compare(left=left, comparators=others) if any(map(is_size, [left, *others])):
            return [left, *others]
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub(), right=right) if is_size(left) or is_size(right):
            return [left, right]
        case ast.MatchValue(value=value):
            return [value]
        case ast.BinOp(left=base, op=ast.Pow(), right=power):
            return [power] if is_whole(power) and (power.value in SMALL_POWERS or (is_whole(base) and base.value == 2)) else []
        case ast.FormattedValue(format_spec=spec) if spec is not None:
            return [spec]
    return []


def passes_as_structure(tree: ast.AST) -> set[ast.AST]:
    parts = (part for node in ast.walk(tree) for part in structural(node))
    return {number for part in parts for number in ast.walk(part) if is_whole(number)}


def passes_by_definition(tree: ast.AST, where: str) -> set[ast.AST]:
    """Numbers of the tables named above, and whole-number defaults of the settings."""
    passing: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and any((where, getattr(target, "id", None)) in EXACT_NAMES for target in node.targets):
            passing.update(ast.walk(node))
        if where in SETTINGS and isinstance(node, ast.ClassDef):
            passing.update(field.value for field in node.body if isinstance(field, ast.AnnAssign) and field.value and is_whole(field.value))
    return passing


def lines_with_a_reason(tree: ast.AST, text: str) -> set[int]:
    """Lines that carry the pragma, and all lines of the simple statements that begin on one."""
    marked = {number for number, line in enumerate(text.splitlines(), 1) if PRAGMA.search(line)}
    simple = (node for node in ast.walk(tree) if isinstance(node, ast.stmt) and not hasattr(node, "body") and node.lineno in marked)
    return marked | {line for node in simple for line in range(node.lineno, node.end_lineno + 1)}


def facts_in(text: str, where: str, tree: ast.Module | None = None):
    """Every number that needs a home elsewhere, as its node."""
    tree = tree or ast.parse(text)
    passing = passes_as_structure(tree) | passes_by_definition(tree, where)
    explained = lines_with_a_reason(tree, text)
    for node in ast.walk(tree):
        if is_number(node) and node.value not in PLAIN and node not in passing and node.lineno not in explained:
            yield node


def test_no_measured_number_lives_in_code():
    files: list[tuple[Path, str]] = [(path, path.relative_to(PACKAGE).as_posix()) for path in python_files("estimator")]
    faults = [
        f"{place(path, node)} {ast.unparse(node)}"
        for path, where in files
        if where not in EXACT_FILES
        for node in facts_in(path.read_text(encoding="utf-8"), where, parse(path))
    ]
    assert not faults, report(faults, "Move it to hardware_profiles/ with its source, or say `# exact: why` if it holds by definition.")


@pytest.mark.parametrize(
    "line",
    [
        "efficiency = 0.87",
        "limit = 700",
        "energy = 1e-12 * bits",
        "scale = 10**-9",
        "def leak(slope=0.1): ...",
        "if power > 300: ...",
        "x = 0.87  # exact:",
        "x = 0.87  # not exact: guessed",
        "rates = {\n  'fp8': 1.7,  # a comment is no reason\n}",
        "x = items[round(0.7 * 8)] * 3.5",
        "index = table[0.25]",
        "wide = x**16",
    ],
)
def test_a_fact_in_code_is_noticed(line):
    assert list(facts_in(line, "hardware/power.py"))


@pytest.mark.parametrize(
    "line",
    [
        "energy = 0.5 * c * v**2 + 2 * x / 10 - 1",
        "last = shape[-3:][3]",
        "for i in range(7): ...",
        "ok = len(shape) == 4 and x.ndim > 3",
        "missing = 4 - tensor.dim()",
        "match rank:\n    case 2, 3: ...",
        "volume = x**3 + 2**40",
        "boltzmann = 1.380649e-23  # exact: SI definition of the kelvin",
        "table = {  # exact: IEEE 754 significand bits\n  'fp32': 24,\n  'fp16': 11,\n}",
        "text = f'{x:12.3f}'",
        "flag = True",
    ],
)
def test_structure_and_exact_constants_pass(line):
    assert not list(facts_in(line, "hardware/power.py"))


def test_only_whole_defaults_of_settings_pass():
    assert not list(facts_in("class Inference:\n    prompt_tokens: int = 512", SETTINGS[0]))
    assert list(facts_in("class Inference:\n    utilization: float = 0.83", SETTINGS[0]))
    assert list(facts_in("class Inference:\n    prompt_tokens: int = 512", "run/stack.py"))
