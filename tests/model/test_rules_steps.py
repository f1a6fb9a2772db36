"""Recurrent layers and optimizer steps: hand-derived FLOP and bytes, and the same whichever way torch runs them."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from estimator.errors import UnknownName
from estimator.model.rules import format_of, work_of_signature
from tests.model.signatures import signature, tensor

small = st.integers(1, 16)
LSTM = 2


def lstm(steps, batch, inputs, hidden, mode=LSTM, gates=4):
    settings = {"mode": mode, "hidden_size": hidden, "hx_": tensor(batch, hidden), "cx_": tensor(batch, hidden)}
    weights = {"weight0": tensor(gates * hidden, inputs), "weight1": tensor(gates * hidden, hidden)}
    return signature("aten.mkldnn_rnn_layer", tensor(steps, batch, hidden), input=tensor(steps, batch, inputs), **weights, **settings)


def lstm_backward(steps, batch, inputs, hidden):
    weights = {"weight1": tensor(4 * hidden, inputs), "weight2": tensor(4 * hidden, hidden)}
    return signature(
        "aten.mkldnn_rnn_layer_backward", tensor(steps, batch, inputs), input=tensor(steps, batch, inputs), **weights, mode=LSTM
    )


@given(small, small, small, small)
def test_an_lstm_layer_is_two_products_per_step(steps, batch, inputs, hidden):
    # 2 * T * B * 4H * (I + H), as the meta backend counts it when it unrolls the steps
    expected = 2 * steps * batch * 4 * hidden * (inputs + hidden)
    assert work_of_signature(lstm(steps, batch, inputs, hidden)).matmul_flop == expected
    assert work_of_signature(lstm_backward(steps, batch, inputs, hidden)).matmul_flop == 2 * expected


@given(small, small, small, small)
def test_cells_grow_with_the_hidden_units_alone(steps, batch, inputs, hidden):
    work = work_of_signature(lstm(steps, batch, inputs, hidden))
    assert work.vector_flop == 22 * steps * batch * hidden  # see test_rules_rows: an LSTM unit is 22 + 8
    assert work.special_flop == 8 * steps * batch * hidden


def test_a_plain_recurrent_layer_has_one_gate_and_a_tanh():
    work = work_of_signature(lstm(3, 2, 5, 7, mode=1, gates=1))
    assert work.matmul_flop == 2 * 3 * 2 * 7 * (5 + 7)
    assert work.special_flop == 3 * 2 * 7


def test_the_fused_cell_is_the_same_cell():
    gates = tensor(2, 4 * 7)
    cell = signature("aten._thnn_fused_lstm_cell", tensor(2, 7), tensor(2, 7), input_gates=gates, hidden_gates=gates, cx=tensor(2, 7))
    assert work_of_signature(cell).vector_flop == work_of_signature(lstm(1, 2, 5, 7)).vector_flop


def step(name, *parameters, **settings):
    return signature("est.optimizer_step", name=name, parameters=parameters, **settings)


@pytest.mark.parametrize(
    "name, flop, read, write",
    [
        # per fp32 parameter: p and g in, p out; each state in and out
        ("sgd", 2, 8, 4),
        ("momentum", 4, 12, 8),
        ("adam", 14, 16, 12),
        ("adamw", 15, 16, 12),  # 28 bytes in all, as torch's fused AdamW moves
    ],
)
def test_a_step_per_parameter(name, flop, read, write):
    work = work_of_signature(step(name, tensor(100, 10), tensor(24), state_format="fp32"))
    assert (work.flop, work.read, work.write) == (1024 * flop, 1024 * read, 1024 * write)


def test_narrow_weights_with_a_master_copy():
    # bf16 weights and gradients, fp32 master and moments (Micikevicius et al., 2018): read g 2, master 4, m 4, v 4; write p 2 and the three
    work = work_of_signature(step("adamw", tensor(1000, format="bf16"), state_format="fp32", master=True))
    assert (work.read, work.write) == (14_000, 14_000)
    without = work_of_signature(step("adamw", tensor(1000, format="bf16"), state_format="bf16"))
    assert (without.read, without.write) == (8_000, 6_000)


def test_the_step_computes_in_the_format_of_its_states():
    assert format_of(step("adamw", tensor(10, format="bf16"), state_format="fp32")) == "fp32"


@given(st.lists(st.integers(1, 100), min_size=1, max_size=5), st.sampled_from(["sgd", "momentum", "adam", "adamw", "adagrad"]))
def test_a_step_over_a_list_is_the_sum_of_steps(counts, name):
    together = work_of_signature(step(name, *map(tensor, counts), state_format="fp32"))
    apart = [work_of_signature(step(name, tensor(count), state_format="fp32")) for count in counts]
    assert (together.flop, together.read, together.write) == tuple(sum(getattr(w, k) for w in apart) for k in ("flop", "read", "write"))


def test_an_unknown_optimizer_is_refused():
    with pytest.raises(UnknownName, match="unknown optimizer 'adamm'. Nearest: adam, adamw"):
        work_of_signature(step("adamm", tensor(10)))


def test_torchs_fused_adamw_is_the_same_step():
    lists = {name: (tensor(100, 10), tensor(24)) for name in ("self", "grads", "exp_avgs", "exp_avg_sqs")}
    counters = {"max_exp_avg_sqs": (), "state_steps": (tensor(), tensor())}
    fused = signature("aten._fused_adamw_", *lists["self"], **lists, **counters, weight_decay=0.01)
    ours = work_of_signature(step("adamw", *lists["self"], state_format="fp32"))
    assert work_of_signature(fused) == ours


@pytest.mark.parametrize("momentum, name", [(0.0, "sgd"), (0.9, "momentum")])
def test_torchs_fused_sgd_has_a_state_only_with_momentum(momentum, name):
    lists = {key: (tensor(64),) for key in ("self", "grads", "momentum_buffer_list")}
    fused = signature("aten._fused_sgd_", *lists["self"], **lists, weight_decay=0.0, momentum=momentum)
    assert work_of_signature(fused) == work_of_signature(step(name, tensor(64), state_format="fp32"))


def test_lists_of_tensors_cost_what_the_tensors_do():
    lists = (tensor(100, 10), tensor(24))
    add = signature("aten._foreach_add_", *lists, self=lists, other=lists, alpha=1)
    assert (work_of_signature(add).flop, work_of_signature(add).read, work_of_signature(add).write) == (1024, 8192, 4096)
    root = signature("aten._foreach_sqrt", *lists, self=lists)
    assert (work_of_signature(root).special_flop, work_of_signature(root).vector_flop) == (1024, 0)
    zero = signature("aten._foreach_zero_", *lists, self=lists)
    assert (work_of_signature(zero).read, work_of_signature(zero).write) == (0, 4096)


def test_foreach_names_exist_in_torch():
    from estimator.model.rules.optimizer import FOREACH

    assert all(hasattr(torch.ops.aten, f"_foreach_{name}") for name in FOREACH)
