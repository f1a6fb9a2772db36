"""What the README and CONTRIBUTING show is true: their Python runs, and their make targets exist."""

import re

import pytest

from estimator.model.rules import registry
from tests.lint.source import ROOT

PAGES = ("README.md", "CONTRIBUTING.md")
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def python_blocks(text: str) -> list[str]:
    return BLOCK.findall(text)


@pytest.mark.parametrize("page", PAGES)
def test_python_blocks_run_in_order(page, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # files that an example writes stay out of the checkout
    monkeypatch.setattr(registry, "RULES", dict(registry.RULES))  # a rule that an example adds goes with it
    shared: dict = {}
    for block in python_blocks((ROOT / page).read_text(encoding="utf-8")):
        exec(compile(block, page, "exec"), shared)


@pytest.mark.parametrize("page", PAGES)
def test_make_targets_exist(page):
    named = set(re.findall(r"`make (\w+)", (ROOT / page).read_text(encoding="utf-8")))
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert named and named <= targets


def test_blocks_are_found_and_other_languages_left_out():
    text = "a\n```python\nx = 1\n```\n```sh\nmake\n```\n```python\nx += 1\n```\n"
    assert python_blocks(text) == ["x = 1\n", "x += 1\n"]
