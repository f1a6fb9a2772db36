"""What a serving engine merges: products side by side, and the element-wise work on what they made."""

import pytest
import torch
import transformers

from estimator.model.build.attention import IMPLEMENTATION, cache, cached
from estimator.model.fusion import kernels
from estimator.model.rules import work_of
from estimator.model.tracing import trace
from tests.model.networks import on_meta, token_ids
from tests.model.streams import Stream, totals

N = 8 * 16 * 4  # bytes of an 8x16 tensor


def names(trace, fusion="serving"):
    return [kernel.name for kernel in kernels(trace, fusion) for _ in range(kernel.launches)]


def gated(first="net.up", second="net.gate", weight=None):
    s = Stream()
    x = s.unary("exp", s.input(8, 4))
    gate = s.mm(x, s.input(4, 16), module=first)
    up = s.mm(x, weight(s) if weight else s.input(4, 16), module=second)
    s.mm(s.binary("mul", s.unary("silu", gate), up), s.input(16, 4))
    return s


def test_products_of_one_module_with_one_left_operand_are_one_launch():
    trace = gated().trace()
    assert names(trace, "fused") == ["aten.exp", "aten.mm", "aten.mm", "fused.silu+mul", "aten.mm"]
    assert names(trace) == ["aten.exp", "aten.mm", "fused.silu+mul", "aten.mm"]
    merged = kernels(trace, "serving")[1]
    work = work_of(merged)
    assert (merged.kind, merged.module, len(work.products)) == ("matmul", "net", 2)
    assert (work.read, work.write) == (8 * 4 * 4 + 2 * 4 * 16 * 4, 2 * N)  # the left operand once, both weights, both results


def test_products_of_different_modules_stay_apart():
    assert names(gated(second="other.gate").trace()) == names(gated().trace(), "fused")


def test_a_product_with_something_computed_on_the_way_stays_apart():
    assert names(gated(weight=lambda s: s.unary("exp", s.input(4, 16))).trace()).count("aten.mm") == 3


def test_a_product_that_needs_the_other_stays_apart():
    s = Stream()
    x, w = s.input(8, 16), s.input(16, 16)
    s.mm(s.mm(x, w), w)
    assert names(s.trace()) == ["aten.mm", "aten.mm"]


def test_what_merged_products_made_is_worked_on_in_one_launch():
    s = Stream()
    x = s.input(8, 4)
    query, key = s.mm(x, s.input(4, 32), module="net.q"), s.mm(x, s.input(4, 16), module="net.k")
    query, key = s.unary("exp", query), s.unary("silu", key)  # not over equally many elements
    s.mm(query, s.input(32, 4))
    s.mm(key, s.input(16, 4))
    assert names(s.trace(), "fused")[2:4] == ["aten.exp", "aten.silu"]
    assert names(s.trace()) == ["aten.mm", "fused.exp+silu", "aten.mm", "aten.mm"]


SIZES = {"hidden_size": 512, "intermediate_size": 1376, "num_attention_heads": 8, "num_key_value_heads": 2, "vocab_size": 32000}


def decoder(name, layers):
    config = getattr(transformers, f"{name}Config")(num_hidden_layers=layers, head_dim=64, **SIZES)
    config._attn_implementation_internal = IMPLEMENTATION
    return on_meta(getattr(transformers, f"{name}ForCausalLM"), config, torch.bfloat16)


def step(name, layers, rows, past):
    model = decoder(name, layers)
    return trace(model, token_ids(2, rows), **cached(model, cache(model.config, past)))


@pytest.mark.parametrize(("rows", "past"), [(128, 0), (1, 128)], ids=["prefill", "decode"])
@pytest.mark.parametrize("name", ["Llama", "Qwen3", "Mistral"])
def test_a_decoder_layer_is_nine_launches(name, rows, past):
    # as in vLLM: query-key-value product; rotation (and norms) with the cache append; attention; output product; residual and
    # norm; gate-and-up product; activation; down product; residual and norm
    three, four = (len(names(step(name, layers, rows, past))) for layers in (3, 4))
    assert four - three == 9


def test_every_fusion_computes_the_same_and_moves_ever_less():
    traced = step("Llama", 3, 128, 0)
    eager, fused, serving = (totals(kernels(traced, fusion)) for fusion in ("eager", "fused", "serving"))
    for unit in ("matmul_flop", "vector_flop", "special_flop"):
        assert serving[unit] == fused[unit] == eager[unit]
    assert serving["read"] < fused["read"] < eager["read"]
    assert serving["launches"] < 0.7 * fused["launches"]


def test_heads_of_different_layers_stay_apart():
    # every decoder layer of an encoder-decoder multiplies the same encoder output, and a different layer's launch is between
    model = on_meta(
        transformers.T5ForConditionalGeneration,
        transformers.T5Config(d_model=64, d_ff=128, num_layers=3, num_heads=4, d_kv=16, vocab_size=100, decoder_start_token_id=0),
    )
    traced = trace(model, input_ids=token_ids(2, 8), decoder_input_ids=token_ids(2, 4))
    merged = [kernel for kernel in kernels(traced, "serving") if kernel.kind == "matmul" and len(kernel.signatures) > 1]
    assert {(kernel.module, len(kernel.signatures), kernel.launches) for kernel in merged} == {
        ("encoder.block.*.layer.0.SelfAttention", 3, 3),
        ("decoder.block.*.layer.0.SelfAttention", 3, 3),
        ("decoder.block.*.layer.1.EncDecAttention", 2, 3),
    }
