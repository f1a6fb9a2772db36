"""Packed, sparse and smaller models: bytes by hand, published checkpoint sizes, and what no transformation may change."""

from dataclasses import replace
from math import isclose

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from estimator import Inference, Training, estimate, prune, quantize, route
from estimator.errors import InvalidSetting, UnknownName
from estimator.hardware.catalogue import load_profile
from estimator.model.architecture import Architecture, load_architecture
from estimator.model.program import Program
from estimator.model.rules import work_of, work_of_signature
from estimator.model.tracing import trace
from estimator.model.transform.schemes import packed, scheme, schemes
from estimator.model.work import Kernel, MatrixProduct
from estimator.run.tiling import best_tiling
from tests.model import networks
from tests.model.cases import Calls, empty
from tests.model.signatures import tensor

SCHEMES = sorted(schemes())
bf16 = {"dtype": torch.bfloat16}


def total(model, program, quantity, **sizes):
    return sum(kernel.launches * getattr(work_of(kernel), quantity) for kernel in model.programs[program].at("fused", **sizes))


def held(name, k, n, group=None, sparse=False):
    how = scheme(name) if name else None
    parts = packed(tensor(k, n, format="bf16"), how, how.group if how and group is None else group or 0, sparse)
    return sum(part.bytes for part in parts.values() if part is not None)


def test_bits_of_each_scheme():
    # 4 bits and, for each 128, a scale of 16 and a zero point of 4; for each 32 one of 8; for each 16 one of 8
    k, n = 4096, 256
    assert held("int4", k, n) * 8 == k * n * (4 + 20 / 128)
    assert held("mxfp4", k, n) * 8 == k * n * 4.25
    assert held("nvfp4", k, n) * 8 == k * n * 4.5
    assert held("int8", k, n) == k * n + 2 * n
    assert held("fp8", k, n) == k * n + 4 * n
    assert held(None, k, n, sparse=True) == k * n * (1 + 1 / 8)  # half the values, and two bits for each of them
    assert held("int4", k, n, group=32) > held("int4", k, n)


@given(st.sampled_from(SCHEMES), st.integers(1, 300), st.integers(1, 50), st.booleans())
def test_packing_makes_a_weight_smaller_unless_it_is_tiny(name, k, n, sparse):
    assert held(name, 32 * k, n, sparse=sparse) < 32 * k * n * 2


@pytest.mark.parametrize("name", SCHEMES)
def test_a_quantised_model_does_the_same_products_on_fewer_bytes(name):
    model = load_architecture("llama-3.1-8b")
    light = quantize(model, name)
    sizes = {"batch": 2, "past": 100}
    assert isclose(total(light, "decode", "matmul_flop", **sizes), total(model, "decode", "matmul_flop", **sizes), rel_tol=1e-12)
    assert total(light, "decode", "read", **sizes) < 0.65 * total(model, "decode", "read", **sizes)
    assert light.programs["training"] == model.programs["training"]
    assert name in light.decisions[-1] and scheme(name).source in light.decisions[-1]


def test_llama_in_int4_by_hand():
    # 32 layers of q and o 4096², k and v 4096 x 1024, three 4096 x 14336; embedding and head stay in bf16
    weights = 32 * (2 * 4096**2 + 2 * 4096 * 1024 + 3 * 4096 * 14336)
    model = load_architecture("llama-3.1-8b")
    assert quantize(model, "int4").parameter_bytes == 2 * (model.parameters - weights) + weights * (4 + 20 / 128) / 8


def test_gpt_oss_has_the_size_of_its_published_checkpoint():
    # OpenAI, gpt-oss model card, 2025, table 1: 20b has a checkpoint of 12.8 GiB, the experts alone in MXFP4
    model = quantize(load_architecture("gpt-oss-20b"), "mxfp4", skip=("self_attn.*", "router", "lm_head"))
    assert isclose(model.parameter_bytes / 2**30, 12.8, rel_tol=0.01)


@pytest.mark.parametrize(("name", "head"), [("whisper-small", "proj_out"), ("bert-base", "cls.predictions.decoder"), ("gpt2", "lm_head")])
def test_heads_stay_wide(name, head):
    model = quantize(load_architecture(name), "int4")
    products = [k for name, p in model.programs.items() if name != "training" for k in p.kernels["fused"] if k.kind == "matmul"]
    assert {k.name == "est.packed_mm" for k in products if k.module == head} == {False}
    assert {k.name for k in products if k.layers} == {"est.packed_mm"}


def test_weight_only_schemes_convert_back_and_narrow_ones_do_not():
    layer = nn.Linear(256, 128, bias=False, **bf16)
    traced = trace(layer, empty(4, 256, **bf16))
    (product,) = [s for s in quantize(traced, "int4").signatures if s.op == "est.packed_mm"]
    assert work_of_signature(product).vector_flop == 10 / 8 * 256 * 128  # ten lane operations for eight weights
    narrow, product = [s for s in quantize(traced, "fp8").signatures if s.op.startswith("est")]
    assert work_of_signature(narrow).vector_flop == 3 * 4 * 256
    assert work_of_signature(product).vector_flop == 2 * 4 * 128  # scales of rows and columns
    assert (product["input"].format, product.outputs[0].format) == ("fp8_e4m3", "bf16")
    wide = [s for s in quantize(traced, "fp8", activations=False).signatures if s.op.startswith("est")]
    assert [s.op for s in wide] == ["est.packed_mm"]
    assert work_of_signature(wide[0]).vector_flop == 256 * 128  # converted and multiplied, two at a time


@settings(max_examples=15)
@given(st.lists(st.integers(16, 64), min_size=2, max_size=4), st.integers(1, 8), st.sampled_from(SCHEMES))
def test_a_trace_keeps_its_products_and_its_dataflow(sizes, batch, name):
    model = nn.Sequential(*(nn.Linear(16 * a, 16 * b, **bf16) for a, b in zip(sizes, sizes[1:])))
    traced = trace(model, empty(batch, 16 * sizes[0], **bf16))
    light = quantize(traced, name)
    assert light.matmul_flop == traced.matmul_flop
    assert light.parameter_bytes < traced.parameter_bytes
    for call in light.calls:
        assert len(call.reads) == len(light.signatures[call.signature].inputs)
    for fusion in ("eager", "fused"):
        assert sum(k.launches * work_of(k).matmul_flop for k in light.kernels(fusion)) == traced.matmul_flop


def test_a_weight_used_twice_is_held_once():
    model = Calls(lambda m, x: m.layer(m.layer(x)), layer=nn.Linear(256, 256, bias=False, **bf16))
    light = quantize(trace(model, empty(4, 256, **bf16)), "mxfp4")
    assert light.parameter_bytes == 256 * 256 * 4.25 / 8


def test_inputs_that_share_a_narrowing_are_narrowed_once():
    model = Calls(lambda m, x: m.a(x) + m.b(x), a=nn.Linear(64, 64, **bf16), b=nn.Linear(64, 64, **bf16))
    light = quantize(trace(model, empty(4, 64, **bf16)), "fp8")
    assert [light.signatures[call.signature].op for call in light.calls].count("est.narrow") == 1


def test_experts_without_tokens_are_not_read():
    traced = trace(networks.mixtral(), networks.token_ids(1, 1))
    (product, *_) = [s for s in quantize(traced, "mxfp4").signatures if s.op == "est.packed_mm" and len(s["weight"].shape) == 3]
    experts, k, n = product["weight"].shape
    touched = experts * (1 - (1 - 1 / experts) ** 2)  # two draws
    rest = sum(product[name].bytes for name in ("input", "offsets"))
    assert work_of_signature(product).read == pytest.approx(rest + touched * k * n * 4.25 / 8, rel=1e-12, abs=0)


def test_two_of_four_halves_the_multiply_adds_and_says_what_it_assumes():
    model = load_architecture("llama-3.1-8b")
    sparse = prune(model, "2:4", skip=())
    sizes = {"batch": 1, "sequence": 64}
    assert total(sparse, "prefill", "matmul_flop", **sizes) == total(model, "prefill", "matmul_flop", **sizes)
    attention = sum(k.launches * work_of(k).tensor_flop for k in model.programs["prefill"].at("fused", **sizes) if k.kind == "attention")
    dense = total(model, "prefill", "tensor_flop", **sizes) - attention
    assert total(sparse, "prefill", "tensor_flop", **sizes) == attention + dense / 2
    assert "assumed to run at twice the dense rate" in sparse.decisions[-1]


@pytest.mark.parametrize("name", SCHEMES)
def test_packing_twice_combines_in_either_order(name):
    traced = trace(nn.Linear(256, 128, **bf16), empty(4, 256, **bf16))
    assert prune(quantize(traced, name), "2:4").signatures[-1] == quantize(prune(traced, "2:4"), name).signatures[-1]


def test_a_transformed_architecture_can_be_stored():
    model = prune(quantize(load_architecture("gpt-oss-20b"), "mxfp4"), "layers", 0.5)
    assert Architecture.from_json(model.to_json()) == model


def test_estimates_with_lighter_weights_take_less_and_list_it():
    run = Inference(batch=1, prompt_tokens=64, output_tokens=32)
    plain, light = (estimate("llama-3.1-8b", "H100", run, weights=weights) for weights in (None, "int4"))
    assert light.energy < 0.8 * plain.energy
    assert light.time < 0.7 * plain.time
    assert any("held in int4" in note for note in light.assumptions)


def test_products_in_one_launch_are_packed_together():
    traced = trace(
        Calls(lambda m, x: (m.a(x), m.b(x)), a=nn.Linear(64, 32, bias=False, **bf16), b=nn.Linear(64, 16, bias=False, **bf16)),
        empty(4, 64, **bf16),
    )
    first, second = traced.signatures
    reads, writes = (first["self"], first["mat2"], second["mat2"]), (*first.outputs, *second.outputs)
    both = Kernel("both", "matmul", "forward", "m", (first, second), reads, writes, "bf16")
    model = replace(load_architecture("llama-3.1-8b"), programs={"forward": Program((), {"eager": (both,)})})
    (light,) = quantize(model, "mxfp4").programs["forward"].kernels["eager"]
    assert work_of(light).read == 2 * 4 * 64 + 64 * (32 + 16) * 4.25 / 8
    assert work_of(light).matmul_flop == work_of(both).matmul_flop
    narrow, light = quantize(model, "fp8").programs["forward"].kernels["eager"]
    assert (narrow.name, light.format) == ("est.narrow", "fp8_e4m3")
    assert work_of(light).read == 4 * 64 + 64 * (32 + 16) + 4 * (32 + 16)


@given(st.integers(1, 5000), st.integers(64, 5000), st.integers(64, 5000))
def test_a_lighter_operand_never_takes_longer_and_the_same_one_is_tiled_the_same(m, n, k):
    profile, speed = load_profile("H100"), 1e5
    plain, same, light = (best_tiling(MatrixProduct(1, m, n, k, 1, held), 2, profile, speed) for held in (None, 2, 0.5))
    assert plain == same
    # the tile may differ, for the fastest is chosen: only the cycles of the busier of units and L2 are bound to fall
    cycles = [max(tiling.slots / speed, tiling.l2_bytes / profile.l2.bandwidth) for tiling in (plain, light)]
    assert cycles[1] <= cycles[0] * (1 + 1e-9)


def test_a_lighter_operand_that_fits_in_cache_moves_fewer_bytes():
    # 512 rows by a 1024 × 1024 weight: 1 MiB in, 1 MiB out, and the weight 2 MiB wide or 0.5 MiB at 4 bits
    wide, light = (best_tiling(MatrixProduct(1, 512, 1024, 1024, 1, held), 2, load_profile("H100"), 1e5) for held in (2, 0.5))
    assert wide.memory_bytes - light.memory_bytes == 1.5 * 1024 * 1024


def test_activations_stay_wide_where_the_chip_cannot_multiply_them_narrow():
    run = Inference(batch=1, prompt_tokens=64, output_tokens=8)
    notes = {hw: " ".join(estimate("llama-3.1-8b", hw, run, weights="fp8").assumptions) for hw in ("A100", "H100")}
    assert "narrowed to fp8_e4m3" in notes["H100"]
    assert "converts them back" in notes["A100"]


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda m: quantize(m, "int3"), UnknownName, "unknown weight format 'int3'. Nearest: int8, int4"),
        (lambda m: quantize(m, "int4", group_size=0), InvalidSetting, "group_size=0: expected a whole number"),
        (lambda m: quantize(m, "int4", skip=("*",)), InvalidSetting, "no matrix product with a weight outside"),
        (lambda m: prune(m, "magnitude", 0.5), UnknownName, "unknown kind of pruning 'magnitude'"),
        (lambda m: prune(m, "layers", 1.0), InvalidSetting, "share=1.0: expected the share of layers to prune"),
        (lambda m: prune(m, "heads"), InvalidSetting, "share=None"),
        (lambda m: prune(m, "2:4", 0.3), InvalidSetting, "2:4 sparsity prunes exactly half"),
        (lambda m: prune(load_architecture("resnet-50"), "heads", 0.5), InvalidSetting, "no attention heads"),
        (lambda m: prune(trace(nn.Linear(4, 4), empty(1, 4)), "layers", 0.5), InvalidSetting, "take them out of the module"),
        (lambda m: quantize(trace(nn.Linear(4, 4), empty(1, 4), backward=True), "int8"), InvalidSetting, "holds a training step"),
        (lambda m: estimate(m, run=Training(), weights="int4"), InvalidSetting, "quantised weights are for Inference"),
    ],
)
def test_what_cannot_be_done_says_so(call, error, text):
    with pytest.raises(error, match=text):
        call(load_architecture("llama-3.1-8b"))


@pytest.mark.parametrize("change", [lambda: quantize("gpt2", "int4"), lambda: prune("gpt2", "2:4"), lambda: route("gpt2", "zipf")])
def test_a_name_is_not_a_model_yet(change):
    with pytest.raises(InvalidSetting, match=r"model='gpt2': expected an Architecture, from load_architecture\(name\)"):
        change()
