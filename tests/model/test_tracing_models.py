"""Matrix FLOP of published architectures, against derivations from their sizes."""

import pytest
import torch

from estimator.model.build.attention import cached
from estimator.model.tracing import trace
from tests.model import networks


def flop(traced, phase):
    return sum(row["matmul_flop"] for row in traced.rows("phase") if row["name"] == phase)


def test_resnet50():
    # Forward: twice the 4.089 G multiply-adds of He et al., CVPR 2016, table 1 (there 3.8 G, stride in the first 1x1; here in the
    # 3x3). Backward: twice as much, less the stem's input gradient: 112² positions, 64 filters of 7·7·3 numbers.
    traced = trace(networks.resnet50(), networks.images(), backward=True)
    assert flop(traced, "forward") == 8_178_368_512
    assert flop(traced, "backward") == 2 * 8_178_368_512 - 2 * 112**2 * 64 * 147 == 16_120_709_120
    assert traced.parameters == traced.trainable_parameters == 25_557_032  # torchvision's documentation of resnet50


def gpt2_forward(batch, rows):
    # 12 layers of 12·768² weights and a 768 x 50257 head; scores and values, 2·768 multiply-adds per pair of rows and layer
    linear = 2 * batch * rows * (12 * 12 * 768**2 + 768 * 50257)
    return linear, 12 * 2 * 2 * 768 * batch * rows**2


@pytest.mark.parametrize(("implementation", "backward_share"), [("sdpa", 2.5), ("eager", 2)])
def test_gpt2(implementation, backward_share):
    # fused attention recomputes the scores in backward: five products to the forward's two
    traced = trace(networks.gpt2(implementation), networks.token_ids(1, 1024), backward=True)
    linear, attention = gpt2_forward(1, 1024)
    assert flop(traced, "forward") == linear + attention == 291_648_307_200
    assert flop(traced, "backward") == 2 * linear + backward_share * attention
    assert traced.parameters == 124_439_808  # embedding and head are one


def test_bert():
    # 12 layers of 12·768² weights, the head's 768² and 768 x 30522
    traced = trace(networks.bert(), networks.token_ids(2, 128), backward=True)
    linear, attention = 2 * 2 * 128 * (12 * 12 * 768**2 + 768**2 + 768 * 30522), 12 * 2 * 2 * 768 * 2 * 128**2
    assert flop(traced, "forward") == linear + attention
    assert flop(traced, "backward") == 2 * linear + 2.5 * attention


def llama_forward(layers, batch, rows, keys):
    # Q and O 4096², K and V 4096 x 1024, three 4096 x 14336; head 4096 x 128256; scores and values over 32 heads of 128
    linear = 2 * batch * rows * (layers * (2 * 4096**2 + 2 * 4096 * 1024 + 3 * 4096 * 14336) + 4096 * 128256)
    return linear, layers * 2 * 2 * 4096 * batch * rows * keys


@pytest.mark.parametrize("layers", [1, 2])
def test_llama_layers(layers):
    traced = trace(networks.llama(layers), networks.token_ids(2, 256), backward=True)
    linear, attention = llama_forward(layers, 2, 256, 256)
    assert flop(traced, "forward") == linear + attention
    assert flop(traced, "backward") == 2 * linear + 2.5 * attention
    assert traced.tensor_flop < traced.matmul_flop  # the causal half of the scores is not executed


def test_llama_decodes_against_a_cache():
    from transformers import DynamicCache

    model, past = networks.llama(2), 300
    cache = DynamicCache(config=model.config)
    for layer in range(2):
        cache.update(*(torch.empty(4, 8, past, 128, dtype=torch.bfloat16, device="meta") for _ in range(2)), layer)
    traced = trace(model, networks.token_ids(4, 1), **cached(model, cache))
    assert traced.matmul_flop == sum(llama_forward(2, 4, 1, past + 1))
    assert cache.get_seq_length() == past  # the caller's cache did not grow


def test_packed_sequence_detection_of_transformers_finds_its_values():
    # without a cache the model asks whether position ids restart: a value, but one that depends on no weight
    traced = trace(networks.llama(1), networks.token_ids(2, 64), use_cache=False)
    assert traced.matmul_flop == sum(llama_forward(1, 2, 64, 64))


def mixtral_forward(tokens):
    # per layer Q and O 64², K and V 64 x 32, the router 64 x 4, two experts of three 64 x 96; head 64 x 100; attention over 64
    weights = 2 * (2 * 64**2 + 2 * 64 * 32 + 64 * 4 + 2 * 3 * 64 * 96) + 64 * 100
    return 2 * tokens * weights, 2 * 2 * 2 * 64 * tokens**2


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_mixture_of_experts_as_grouped_products(dtype):
    traced = trace(networks.mixtral(dtype=dtype), networks.token_ids(1, 16), backward=True)
    linear, attention = mixtral_forward(16)
    assert flop(traced, "forward") == linear + attention
    assert flop(traced, "backward") == 2 * linear + 2.5 * attention
    assert "est.grouped_mm" in {signature.op for signature in traced.signatures}


def test_a_loop_over_experts_gets_balanced_routing_and_says_so():
    traced = trace(networks.mixtral("eager"), networks.token_ids(1, 16))
    assert traced.matmul_flop == sum(mixtral_forward(16))
    assert any("assumed balanced, top 2 of 4" in decision for decision in traced.decisions)


def test_generation_runs_token_by_token():
    from torch import nn

    class Generate(nn.Module):
        def __init__(self, model):
            super().__init__()
            self.model = model

        def forward(self, ids):
            return self.model.generate(ids, max_new_tokens=3, do_sample=False, eos_token_id=None, pad_token_id=0)

    traced = trace(Generate(networks.llama(1, vocab_size=64)), torch.ones(1, 8, dtype=torch.long))
    assert [c.module for c in traced.calls].count("model.model.layers.0.mlp.gate_proj") == 3  # 8 tokens, then one, and one
