"""Comparisons in tests are relative: `approx(6.4e-16) == 0.0` is true with pytest's default absolute tolerance of 1e-12."""

import ast

import pytest

from tests.lint.source import parse, place, python_files, report

# call → (keywords that must be given, keyword that must be given as zero or None where the default is zero already)
RULES = {
    "approx": ({"rel"}, "abs", False),
    "isclose": ({"rel_tol"}, "abs_tol", True),
    "assert_allclose": ({"rtol"}, "atol", True),
    "allclose": ({"rtol"}, "atol", False),
    "numpy.isclose": ({"rtol"}, "atol", False),
    "assert_close": ({"rtol"}, "atol", False),
}
ABSOLUTE = {"assert_almost_equal", "assert_array_almost_equal", "assertAlmostEqual", "assert_approx_equal"}


def name_of(call: ast.Call) -> str:
    """The rule's name of what is called: `np.isclose` and `torch.isclose` differ from `math.isclose`."""
    if isinstance(call.func, ast.Attribute):
        owner = call.func.value
        if call.func.attr == "isclose" and isinstance(owner, ast.Name) and owner.id in ("np", "numpy", "torch"):
            return "numpy.isclose"
        return call.func.attr
    return call.func.id if isinstance(call.func, ast.Name) else ""


def is_zero(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value == 0 and node.value is not False


def loose_comparisons(tree: ast.Module):
    """Calls that compare numbers with an absolute tolerance, as (node, what is wrong)."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name, given = name_of(node), {keyword.arg: keyword.value for keyword in node.keywords}
        if name in ABSOLUTE:
            yield node, f"{name} counts decimal places"
        elif name in RULES:
            needed, absolute, zero_by_default = RULES[name]
            if missing := needed - set(given):
                yield node, f"{name} without {', '.join(missing)}="
            elif absolute in given and not is_zero(given[absolute]):
                yield node, f"{name} with {absolute} other than 0"
            elif absolute not in given and not zero_by_default:
                yield node, f"{name} without {absolute}=0"


def test_tests_compare_with_relative_tolerance():
    files = python_files("tests", "benchmarks", "estimator")
    faults = [f"{place(path, node)} {fault}" for path in files for node, fault in loose_comparisons(parse(path))]
    assert not faults, report(faults, "Write approx(x, rel=…, abs=0), math.isclose(rel_tol=…) or assert_allclose(rtol=…).")


@pytest.mark.parametrize(
    "line",
    [
        "x == approx(3)",
        "x == pytest.approx(3, rel=1e-3)",
        "x == approx(3, rel=1e-3, abs=1e-9)",
        "math.isclose(x, y)",
        "isclose(x, y, rel_tol=1e-9, abs_tol=1e-12)",
        "np.isclose(x, y, rtol=1e-3)",
        "np.allclose(x, y)",
        "assert_allclose(x, y)",
        "assert_allclose(x, y, rtol=1e-3, atol=1e-6)",
        "np.testing.assert_almost_equal(x, y)",
    ],
)
def test_an_absolute_tolerance_is_noticed(line):
    assert list(loose_comparisons(ast.parse(line)))


@pytest.mark.parametrize(
    "line", ["x == approx(3, rel=1e-3, abs=0)", "isclose(x, y, rel_tol=1e-9)", "assert_allclose(x, y, rtol=1e-3)", "close(x, y)"]
)
def test_a_relative_tolerance_passes(line):
    assert not list(loose_comparisons(ast.parse(line)))
