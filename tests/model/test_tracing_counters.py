"""Traces beside other counters.

torch.utils.flop_counter counts 2 FLOP per multiply-add, as we do, and is right for these models on meta, forward and backward.
It takes attention apart into products, whose backward is twice the forward; fused attention recomputes the scores, which makes
it 2.5 times. It multiplies the weight gradient of a grouped convolution by the number of groups, so none is among these models.

fvcore counts multiply-adds, so twice its number is comparable. It has no rule for scaled-dot-product attention, which is why
transformers run with explicit products here, and it counts each BatchNorm, LayerNorm and pooling with a few operations per
element as if they were multiply-adds: those, and whatever it lists as unsupported, are left out of the comparison.
"""

import pytest
import torch
from fvcore.nn import FlopCountAnalysis
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from estimator.model.tracing import trace
from tests.model import networks

MODELS = {
    "resnet-50": lambda: (networks.resnet50(), networks.images(2)),
    "bert": lambda: (networks.bert(), networks.token_ids(2, 64)),
    "gpt-2": lambda: (networks.gpt2(), networks.token_ids(2, 64)),
    "llama": lambda: (networks.llama(2), networks.token_ids(2, 64)),
}


def attention_products(traced, op):
    """FLOP of an attention operation and how often it runs."""
    return sum(row["matmul_flop"] for row in traced.rows("op") if row["name"] == op)


@pytest.mark.parametrize("name", MODELS)
def test_torch_counts_the_same_forward_and_backward(name):
    model, x = MODELS[name]()
    traced = trace(model, x, backward=True)
    with FlopCounterMode(display=False) as forward:
        loss = model(x).logits.sum()
    with FlopCounterMode(display=False) as backward:
        loss.backward()
    phases = {row["name"]: row["matmul_flop"] for row in traced.rows("phase")}
    recomputed_scores = 0.5 * attention_products(traced, "est.attention")
    assert phases["forward"] == forward.get_total_flops()
    assert phases["backward"] == backward.get_total_flops() + recomputed_scores


MATRIX = ("linear", "conv", "matmul", "addmm", "bmm", "einsum")


@pytest.mark.parametrize("name", ["resnet-50", "bert"])
def test_fvcore_counts_half_as_many_multiply_adds(name):
    if name == "bert":
        import transformers

        config = transformers.BertConfig(num_hidden_layers=1, vocab_size=100, attn_implementation="eager")
        model, x = transformers.BertModel(config, add_pooling_layer=False).eval(), torch.zeros(1, 16, dtype=torch.long)
    else:
        model, x = (
            nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.Conv2d(8, 16, 1), nn.Flatten(), nn.Linear(3600, 10)),
            torch.zeros(1, 3, 31, 31),
        )
    analysis = FlopCountAnalysis(model, x).unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    multiply_adds = sum(count for op, count in analysis.by_operator().items() if op in MATRIX)
    assert trace(model, x).matmul_flop == 2 * multiply_adds


def test_fvcore_skips_fused_attention_and_we_do_not():
    class Attention(nn.Module):
        def forward(self, x):
            return nn.functional.scaled_dot_product_attention(x, x, x)

    x = torch.zeros(1, 2, 8, 4)
    analysis = FlopCountAnalysis(Attention(), x).unsupported_ops_warnings(False)
    assert (analysis.total(), dict(analysis.unsupported_ops())) == (0, {"aten::scaled_dot_product_attention": 1})
    assert trace(Attention(), x).matmul_flop == 2 * 2 * 2 * 8 * 8 * 4
