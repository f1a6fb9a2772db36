"""Every operation knows its module and phase, in backward too."""

import pytest
import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention  # bound before any trace begins
from torch.utils.checkpoint import checkpoint

from estimator.model.tracing import trace
from tests.model import networks
from tests.model.cases import Calls, empty, linear, with_gradient


def matrix_flop_by(traced):
    """Matrix FLOP per (phase, module)."""
    found = {}
    for call, row in zip(traced.calls, traced.rows("call")):
        if row["matmul_flop"]:
            key = call.phase, call.module
            found[key] = found.get(key, 0) + row["matmul_flop"]
    return found


def test_backward_products_belong_to_the_layer_of_their_forward():
    model = nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.GELU(), nn.Linear(3, 5)), nn.Linear(5, 7))
    found = matrix_flop_by(trace(model, with_gradient(1, 2), backward=True))
    for path, weights in (("0", 6), ("1.1", 15), ("2", 35)):
        assert (found["forward", path], found["backward", path]) == (2 * weights, 4 * weights)


def test_every_llama_layer_gets_its_own_backward():
    # keyword arguments defeat trackers that hang gradients on a module's inputs
    found = matrix_flop_by(trace(networks.llama(3), networks.token_ids(1, 32), backward=True))
    for layer in range(3):
        for part, weights in (("self_attn.q_proj", 4096**2), ("self_attn.k_proj", 4096 * 1024), ("mlp.down_proj", 4096 * 14336)):
            path = f"model.layers.{layer}.{part}"
            assert found["backward", path] == 2 * found["forward", path] == 2 * 2 * 32 * weights
        attention = f"model.layers.{layer}.self_attn"
        assert found["backward", attention] == 2.5 * found["forward", attention]


def test_recomputation_is_a_phase_of_its_own_even_without_a_module():
    weight = nn.Parameter(empty(4, 4))
    model = Calls(
        lambda m, x: m.last(checkpoint(lambda x: torch.tanh(torch.tanh(x @ m.w) @ m.w), x, use_reentrant=False)),
        w=weight,
        last=nn.Linear(4, 4),
    )
    found = matrix_flop_by(trace(model, with_gradient(2, 4), backward=True))
    assert found["recompute", ""] == found["forward", ""] == 2 * 2 * 2 * 4 * 4
    assert found["backward", ""] == 2 * found["forward", ""]


def test_layers_recomputed_under_a_checkpoint_keep_their_path():
    layers = nn.Sequential(linear(), nn.Tanh(), linear(), nn.Tanh())
    found = matrix_flop_by(
        trace(Calls(lambda m, x: checkpoint(m.layers, x, use_reentrant=False), layers=layers), with_gradient(4, 32), backward=True)
    )
    assert found["recompute", "layers.0"] == found["forward", "layers.0"] == found["backward", "layers.2"] / 2


def test_a_gradient_taken_in_forward_is_backward_of_its_layer():
    def forward(m, x):
        y = m.first(x)
        (slope,) = torch.autograd.grad(m.second(y).sum(), y, create_graph=True)
        return m.third(slope)

    model = Calls(forward, first=linear(), second=linear(), third=linear())
    found = matrix_flop_by(trace(model, empty(1, 32), backward=True))
    one = 2 * 32 * 32
    # the slope is the sum's gradient times second's weight: one product, and one more in its own backward, for that weight
    assert found == {
        ("forward", "first"): one, ("forward", "second"): one, ("backward", "second"): 2 * one,
        ("forward", "third"): one, ("backward", "third"): 2 * one,
    }  # fmt: skip


def test_in_place_operations_and_hooks_do_not_move_gradients():
    def forward(m, x):
        y = m.first(x)
        y[:, 0] = 0
        y /= 2
        return m.second(y)

    model = Calls(forward, first=linear(), second=linear())
    model.first.register_forward_hook(lambda *_: None)
    model.second.register_full_backward_hook(lambda *_: None)
    found = matrix_flop_by(trace(model, with_gradient(1, 32), backward=True))
    assert found["backward", "first"] == found["backward", "second"] == 2 * 2 * 32 * 32


def test_a_shared_module_is_named_as_its_caller_knows_it():
    shared = linear()
    model = nn.Sequential(nn.Sequential(shared, nn.ReLU()), nn.Sequential(shared, nn.ReLU()))
    assert {call.module for call in trace(model, empty(1, 32)).calls} == {"0.0", "0.1", "1.0", "1.1"}


def test_a_module_made_in_forward_is_named_after_its_class():
    model = Calls(lambda m, x: m.block(x), block=Calls(lambda m, x: nn.Tanh()(x)))
    assert [call.module for call in trace(model, empty(2, 2)).calls] == ["block.Tanh"]


def test_tied_weights_count_once_and_work_twice():
    embedding, head = nn.Embedding(10, 4), nn.Linear(4, 10, bias=False)
    head.weight = embedding.weight
    traced = trace(nn.Sequential(embedding, head), torch.zeros(2, 3, dtype=torch.long), backward=True, optimizer="sgd")
    assert traced.parameters == 40
    assert matrix_flop_by(traced) == {("forward", "1"): 2 * 6 * 40, ("backward", "1"): 4 * 6 * 40}


def test_multihead_attention_is_attributed_and_opaque():
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, dropout=0.0)
    traced = trace(nn.TransformerEncoder(layer, 1), with_gradient(2, 5, 16), backward=True)
    found = matrix_flop_by(traced)
    attention = 2 * 2 * (2 * 5 * 5 * 16)  # scores and values over 2 heads of 8
    assert found["forward", "layers.0.self_attn"] == 2 * (2 * 5) * 4 * 16**2 + attention
    assert found["backward", "layers.0.self_attn"] == 2 * 2 * (2 * 5) * 4 * 16**2 + 2.5 * attention


@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("shape", [(6, 8), (3, 6, 8), (2, 3, 6, 8), (2, 2, 3, 6, 8)])
def test_attention_of_any_rank_stays_one_operation(shape, grad):
    model = Calls(lambda _, x: scaled_dot_product_attention(x, x, x, is_causal=True))
    traced = trace(model, with_gradient(*shape), backward=grad)
    ops = [traced.signatures[call.signature].op for call in traced.calls if traced.signatures[call.signature].op.startswith("est.")]
    assert ops == ["est.attention", "est.attention_backward"][: 1 + grad]
    heads = torch.Size(shape[:-2]).numel()
    assert sum(row["matmul_flop"] for row in traced.rows("phase") if row["name"] == "forward") == 2 * heads * 2 * 6 * 6 * 8
