"""What `estimator` offers is there, lazily, and type checkers see the same names."""

import ast

import pytest

import estimator
from tests.lint.source import PACKAGE, parse

HOMES = estimator._HOME


@pytest.mark.parametrize("name", sorted(HOMES))
def test_every_offered_name_is_found_in_its_home(name):
    assert getattr(estimator, name).__module__.startswith("estimator.")


def test_type_checkers_see_the_same_names_in_the_same_homes():
    block = next(node for node in parse(PACKAGE / "__init__.py").body if isinstance(node, ast.If))
    seen = {alias.asname: f"{node.module}" for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert seen == HOMES


def test_all_and_dir_list_every_name():
    assert set(estimator.__all__) == {"__version__", *HOMES}
    assert set(estimator.__all__) <= set(dir(estimator))


def test_no_offered_name_is_hidden_by_a_module_of_the_same_name():
    rooms = {path.stem for path in PACKAGE.iterdir()}
    assert rooms.isdisjoint(HOMES)


def test_an_unknown_attribute_says_what_there_is():
    with pytest.raises(AttributeError, match=r"no attribute 'estimat'; it offers .*\bestimate\b"):
        estimator.estimat  # noqa: B018
