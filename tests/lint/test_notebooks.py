"""Notebooks are committed without outputs and end in an assert, so that running them proves something."""

import ast
import json

import pytest

from tests.lint.source import ROOT, report

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def faults_of(notebook: dict) -> list[str]:
    """What keeps a notebook from being a small, honest diff."""
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    faults = [f"code cell {index} holds output" for index, cell in enumerate(code) if cell["outputs"] or cell["execution_count"]]
    if not code or not any(isinstance(node, ast.Assert) for node in ast.walk(ast.parse("".join(code[-1]["source"])))):
        faults.append("the last code cell asserts nothing")
    return faults


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_holds_no_output_and_ends_in_an_assert(path):
    faults = faults_of(json.loads(path.read_text(encoding="utf-8")))
    assert not faults, report(faults, "Clear all outputs before committing; the last cell states what the notebook has shown.")


def test_outputs_and_a_missing_assert_are_noticed():
    cell = {"cell_type": "code", "source": ["print(1)"], "outputs": [{"text": "1"}], "execution_count": 1}
    assert len(faults_of({"cells": [cell]})) == 2
    assert faults_of({"cells": [cell | {"source": ["assert True"], "outputs": [], "execution_count": None}]}) == []
