"""Recurrent layers: one product for all input gates, one product and one cell a step, one product for each weight's gradient."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest import approx
from torch import nn

from estimator.model.rules import work_of, work_of_signature
from estimator.model.tracing import trace
from tests.model.cases import Calls
from tests.model.signatures import signature, tensor

LAYERS = {"lstm": nn.LSTM, "gru": nn.GRU}
MODES = {"lstm": 2, "gru": 3}
GATES = {"lstm": 4, "gru": 3}
sizes = st.integers(1, 12)


def traced(kind, steps=6, batch=3, inputs=8, hidden=16, backward=True, **options):
    layer = LAYERS[kind](inputs, hidden, **options)
    return trace(Calls(lambda m, x: m.layer(x)[0], layer=layer), torch.empty(steps, batch, inputs, device="meta"), backward=backward)


def launches(result, name, phase="forward"):
    return sum(kernel.launches for kernel in result.kernels("eager") if kernel.name.startswith(name) and kernel.phase == phase)


@settings(max_examples=15)
@given(st.sampled_from(sorted(LAYERS)), sizes, sizes, sizes, sizes)
def test_a_layer_does_the_work_of_a_fused_one(kind, steps, batch, inputs, hidden):
    found = traced(kind, steps, batch, inputs, hidden, backward=False)
    gates = GATES[kind] * hidden
    whole = work_of_signature(
        signature(
            "aten.mkldnn_rnn_layer",
            tensor(steps, batch, hidden),
            input=tensor(steps, batch, inputs),
            weight0=tensor(gates, inputs),
            weight1=tensor(gates, hidden),
            mode=MODES[kind],
        )  # fmt: skip
    )
    assert found.matmul_flop == whole.tensor_flop
    lanes = sum(work_of(kernel).flop * kernel.launches for kernel in found.kernels("eager"))
    assert lanes == approx(whole.flop, rel=1e-12, abs=0)


@pytest.mark.parametrize("kind", sorted(LAYERS))
@pytest.mark.parametrize("both", [False, True])
def test_each_step_is_one_product_and_one_cell(kind, both):
    found, directions, layers, steps = traced(kind, num_layers=2, bidirectional=both), 1 + both, 2, 6
    assert launches(found, "est.recurrent_mm") == directions * layers * (1 + steps)
    assert launches(found, f"aten._thnn_fused_{kind}_cell") == directions * layers * steps
    # backward: a product a step but for the state before the first, both weights at once, and the input of all but the first layer
    assert launches(found, "est.recurrent_addmm", "backward") == directions * layers * (steps - 1)
    assert launches(found, "est.recurrent_mm", "backward") == directions * (2 * layers + layers - 1)


def test_weights_are_learned_whatever_is_read_of_the_layer():
    layer = nn.LSTM(8, 16, 2, bidirectional=True, dropout=0.1)
    for read in (lambda out, state: out, lambda out, state: state[0], lambda out, state: state[1]):
        found = trace(Calls(lambda m, x, read=read: read(*m.layer(x)), layer=layer), torch.empty(6, 3, 8, device="meta"), backward=True)
        assert launches(found, "est.recurrent_addmm", "backward") == 2 * 2 * 5


def test_layers_run_in_the_format_of_an_autocast_region():
    layer = nn.LSTM(8, 16)

    def run(m, x):
        with torch.autocast("cuda", torch.float16):
            return m.layer(x)[0]

    found = trace(Calls(run, layer=layer), torch.empty(6, 3, 8, device="meta"))
    assert {kernel.format for kernel in found.kernels("eager") if kernel.name == "est.recurrent_mm"} == {"fp16"}


@pytest.mark.parametrize("kind", sorted(LAYERS))
def test_packed_sequences_stay_in_single_operations(kind):
    def run(m, x):
        packed = nn.utils.rnn.pack_padded_sequence(x, torch.tensor([6, 4, 2]))
        return m.layer(packed)[0].data

    found = trace(Calls(run, layer=LAYERS[kind](8, 16)), torch.empty(6, 3, 8, device="meta"))
    assert found.matmul_flop == 2 * 12 * GATES[kind] * 16 * (8 + 16)  # 12 rows in all
