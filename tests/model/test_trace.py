"""The `Trace` value: totals, rows, coverage, summary and JSON, without torch."""

import json
import math
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator.errors import EstimatorError, InvalidSetting, TraceError
from estimator.model.trace import Call, Trace
from estimator.model.work import PHASES, Signature, TensorSpec
from tests.lint.source import ROOT
from tests.strategies import tensors

names = st.text(st.characters(codec="utf-8"), max_size=8)
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.complex_numbers(allow_nan=False), names)
arguments = st.recursive(st.one_of(scalars, tensors), lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=6)
signatures = st.builds(
    Signature,
    st.sampled_from(["aten.add", "aten.relu", "test.unknown"]),
    st.tuples(st.tuples(st.just("self"), tensors), st.tuples(names, arguments)),
    st.tuples(tensors),
)
storages = st.lists(st.integers(1, 99), max_size=3).map(tuple)


@st.composite
def traces(draw):
    known = draw(st.lists(signatures, min_size=1, max_size=3))
    call = st.builds(Call, st.integers(0, len(known) - 1), st.sampled_from(PHASES), names, storages, storages)
    counts = [draw(st.integers(0, 10**15)) for _ in range(5)]
    return Trace(
        draw(names),
        tuple(known),
        tuple(draw(st.lists(call, max_size=5))),
        *counts,
        tuple(draw(st.lists(names, max_size=2))),
        draw(storages),
    )


def small():
    x, w = TensorSpec((4, 8), "fp32"), TensorSpec((8, 2), "fp32")
    product = Signature("aten.mm", (("self", x), ("mat2", w)), (TensorSpec((4, 2), "fp32"),))
    strange = Signature("test.strange", (("self", x), ("scale", math.inf)), (x,))
    calls = (
        Call(0, "forward", "layers.0.up", (1, 2), (3,)),
        Call(0, "forward", "layers.1.up", (1, 2), (4,)),
        Call(1, "backward", "", (1,), (5,)),
    )
    return Trace("small", (product, strange), calls, 16, 64, 16, 0, 160)


@given(traces())
def test_json_brings_back_the_same_trace(trace):
    text = trace.to_json()
    assert Trace.from_json(text) == trace
    assert Trace.from_json(text).to_json() == text


@given(traces())
def test_json_is_standard(trace):
    json.loads(trace.to_json(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


@given(traces())
def test_rows_sum_to_the_trace(trace):
    for rows in (*map(trace.rows, ("op", "module", "phase", "call")), trace.by_module(1)):
        assert sum(row["calls"] for row in rows) == len(trace.calls)
        assert math.isclose(sum(row["flop"] for row in rows), trace.flop, rel_tol=1e-12)
        assert all(row["bytes"] == row["read"] + row["write"] for row in rows)


@given(traces())
def test_coverage_is_whole_exactly_where_nothing_is_unknown(trace):
    coverage = trace.coverage
    assert all(0 <= share <= 1 for share in (coverage.calls, coverage.ops, coverage.bytes))
    assert (coverage.calls == 1) == (coverage.unknown == ())
    assert {op for op, _ in coverage.unknown} <= {"test.unknown"}


def test_totals_of_a_small_trace():
    trace = small()
    assert trace.matmul_flop == trace.tensor_flop == 2 * (2 * 4 * 8 * 2)
    assert trace.flop > trace.matmul_flop  # an unknown operation counts one per output element
    assert trace.coverage.unknown == (("test.strange", 1),)
    assert (trace.coverage.calls, trace.coverage.ops) == (2 / 3, 1 / 2)


def test_rows_follow_the_order_of_first_appearance():
    trace = small()
    assert [row["name"] for row in trace.rows("op")] == ["aten.mm", "test.strange"]
    assert [row["name"] for row in trace.rows("phase")] == ["forward", "backward"]
    assert [row["name"] for row in trace.rows("module")] == ["layers.0.up", "layers.1.up", ""]
    assert [row["name"] for row in trace.by_module(1)] == ["layers", ""]
    assert trace.rows("call")[0]["name"] == "0 layers.0.up aten.mm"


def test_rows_by_anything_else_list_what_there_is():
    with pytest.raises(InvalidSetting, match="rows by 'layer': expected one of op, module, phase, call"):
        small().rows("layer")


def test_summary_shows_layers_totals_and_what_has_no_rule():
    lines = small().summary().splitlines()
    assert lines[0].split() == ["layer", "output", "shape", "parameters", "FLOP", "bytes", "FLOP/B"]
    assert lines[2].split()[:4] == ["├─layers.0", "0", "128", "FLOP"]
    assert lines[4].split()[0] == "(model)"
    assert lines[-3].startswith("small")
    assert lines[-2].startswith("16 parameters (0 of them frozen), 64 B; activations at most 160 B")
    assert lines[-1] == "no rule for: test.strange (1)"


@pytest.mark.parametrize("fusion", ["eager", "fused"])
def test_kernels_keep_all_matrix_work(fusion):
    from estimator.model.rules import work_of

    kernels = small().kernels(fusion)
    assert sum(kernel.launches * work_of(kernel).matmul_flop for kernel in kernels) == small().matmul_flop


def test_another_fusion_is_refused():
    with pytest.raises(EstimatorError, match="magic"):
        small().kernels("magic")


def _changed(**changes):
    return json.dumps(json.loads(small().to_json()) | changes)


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", "nonsense", _changed(schema=99), _changed(calls=[[7, 0, 0, [], []]]), _changed(calls=[[0, 9, 0, [], []]]),
        _changed(signatures=[["aten.mm", [["self", {"t": [1]}]], []]]), _changed(signatures=[["aten.mm", [["self", {"x": 1}]], []]]),
    ],
)  # fmt: skip
def test_text_that_is_no_trace_is_refused(text):
    with pytest.raises(TraceError, match=r"not a stored trace: .*to_json"):
        Trace.from_json(text)


def test_a_stored_trace_is_read_and_summed_without_torch():
    program = (
        "import sys\nfrom estimator.model.trace import Trace\ntrace = Trace.from_json(sys.stdin.read())\n"
        "trace.summary()\nprint(trace.matmul_flop, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, input=small().to_json(), capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["256", "False"]
