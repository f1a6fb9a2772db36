"""Traces against matrix FLOP derived by hand: small operators here, published architectures in test_tracing_models.py."""

import pytest

from estimator.model.tracing import trace
from tests.model.cases import CASES


def flop_by_phase(traced):
    return {row["name"]: row["matmul_flop"] for row in traced.rows("phase") if row["matmul_flop"]}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_matrix_flop_equal_the_derivation(case):
    model, inputs = case.build()
    assert flop_by_phase(trace(model, *inputs, **case.options)) == case.flop


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_operation_of_a_case_has_a_rule(case):
    model, inputs = case.build()
    assert trace(model, *inputs, **case.options).coverage.unknown == ()
