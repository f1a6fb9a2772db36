"""Files and functions stay small enough to read. The aim is 150 and 25 lines; these are the walls."""

import ast

from tests.lint.source import parse, place, python_files, report

FILE_LINES = 250
FUNCTION_LINES = 60


def long_functions(tree: ast.Module):
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and (length := node.end_lineno - node.lineno + 1) > FUNCTION_LINES:
            yield node, length


def test_files_and_functions_are_short():
    files = python_files("estimator", "tests", "benchmarks")
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    faults = [f"{place(path)} has {length} lines" for path, length in lengths.items() if length > FILE_LINES]
    faults += [f"{place(path, node)} {node.name} has {length} lines" for path in files for node, length in long_functions(parse(path))]
    assert not faults, report(faults, f"Files hold one idea in at most {FILE_LINES} lines, functions in at most {FUNCTION_LINES}: split.")


def test_a_long_function_is_noticed():
    body = "\n".join(["def long():"] + ["    pass"] * FUNCTION_LINES)
    assert [(node.name, length) for node, length in long_functions(ast.parse(body))] == [("long", FUNCTION_LINES + 1)]
