"""The table by layer: every column sums to the trace, shapes and parameters are those of the module."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from estimator.model.trace import Trace
from estimator.model.tracing import trace
from tests.model import networks
from tests.model.cases import Calls, empty


def tree(sizes, depth):
    """Linear layers in nested containers."""
    layers = [nn.Linear(a, b) for a, b in zip(sizes, sizes[1:])]
    for _ in range(depth):
        layers = [nn.Sequential(*layers[:1]), *layers[1:]] if len(layers) > 1 else [nn.Sequential(*layers)]
    return nn.Sequential(*layers)


@settings(max_examples=25)
@given(st.lists(st.integers(1, 9), min_size=2, max_size=5), st.integers(0, 3), st.integers(1, 4) | st.none())
def test_columns_sum_to_the_trace_at_any_depth(sizes, nesting, depth):
    traced = trace(tree(sizes, nesting), empty(3, sizes[0]), backward=True)
    rows = traced.by_module(depth)
    assert sum(row["parameters"] for row in rows) == traced.parameters
    assert sum(row["flop"] for row in rows) == traced.flop
    assert sum(row["calls"] for row in rows) == len(traced.calls)
    assert len({row["name"] for row in rows}) == len(rows)


def test_a_row_shows_shape_parameters_and_intensity():
    traced = trace(nn.Sequential(nn.Linear(8, 4), nn.ReLU()), empty(2, 8))
    linear, relu = traced.by_module()
    assert (linear["name"], linear["kind"], linear["output"], linear["parameters"]) == ("0", "Linear", (2, 4), 8 * 4 + 4)
    # 2·2·8·4 for the product and 2·4 for the bias; input, weight, bias and output in fp32
    assert linear["intensity"] == (128 + 8) / (4 * (16 + 32 + 4 + 8))
    assert (relu["output"], relu["parameters"]) == ((2, 4), 0)


def test_shared_weights_count_once_and_unused_ones_are_shown():
    shared = nn.Linear(4, 4, bias=False)
    model = Calls(lambda m, x: m.a(m.b(x)), a=shared, b=nn.Sequential(shared), spare=nn.Linear(2, 2))
    rows = {row["name"]: row for row in trace(model, empty(1, 4)).by_module()}
    assert sum(row["parameters"] for row in rows.values()) == 16 + 6
    assert (rows["spare"]["calls"], rows["spare"]["output"], rows["spare"]["parameters"]) == (0, None, 6)


def test_the_table_of_a_transformer_reads_like_torchinfos():
    lines = trace(networks.llama(2, vocab_size=256), networks.token_ids(2, 8)).summary(depth=3).splitlines()
    assert lines[0].split() == ["layer", "output", "shape", "parameters", "FLOP", "bytes", "FLOP/B"]
    assert lines[2].startswith("├─model (LlamaModel)")
    assert any(line.startswith("│ ├─layers.1 (LlamaDecoderLayer)  ") and "[2, 8, 4096]" in line and "218,112,000" in line for line in lines)
    assert lines[-1].startswith(
        "438,325,248 parameters (0 of them frozen), 877 MB; activations at most"
    )  # 2 · 218112000 + 2 · 256 · 4096 + 4096


def test_frozen_parameters_are_named():
    model = nn.Sequential(nn.Linear(4, 4).requires_grad_(False), nn.Linear(4, 2))
    assert "30 parameters (20 of them frozen)" in trace(model, empty(1, 4)).summary()


def test_layers_come_back_from_json():
    traced = trace(nn.Sequential(nn.Linear(8, 4), nn.Linear(4, 2)), empty(2, 8))
    assert Trace.from_json(traced.to_json()).by_module() == traced.by_module()


@pytest.mark.parametrize("output", [lambda x: {"a": x}, lambda x: (None, [x]), lambda x: x])
def test_the_shape_of_a_nested_output_is_that_of_its_first_tensor(output):
    (row,) = trace(Calls(lambda _, x: output(x * 2)), empty(3, 5)).by_module()
    assert row["output"] == (3, 5)
