"""Fusion of whole programs: random streams, and GPT-2, BERT and Llama as traced; less traffic, the same arithmetic."""

import gc
from time import process_time

import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st

from estimator.model.fusion import kernels, unfold
from estimator.model.rules import work_of
from estimator.model.tracing import trace
from tests.model.networks import on_meta, token_ids
from tests.model.streams import Stream, moved, totals

FUSIONS = ("eager", "fused", "serving")
FLOP = ("matmul_flop", "vector_flop", "special_flop")


OPS = ("mm", "add", "silu", "_softmax", "clone", "cat", "sum")


@st.composite
def streams(draw):
    """Any program of products, element-wise operations, reductions and copies on 16x16 tensors, forward then backward."""
    s = Stream()
    tensors = [s.input(16, 16) for _ in range(3)]
    operands = st.integers(0, 99)
    steps = draw(st.lists(st.tuples(st.sampled_from(OPS), operands, operands), max_size=30))
    turn = draw(st.integers(0, 30))
    for position, (op, a, b) in enumerate(steps):
        left, right = tensors[a % len(tensors)], tensors[b % len(tensors)]
        phase = "forward" if position < turn else "backward"
        if op == "mm":
            tensors.append(s.mm(left, right, phase=phase))
        elif op == "add":
            tensors.append(s.binary("add", left, right, phase=phase))
        elif op == "cat":
            tensors.append(s.call("aten.cat", (16, 16), tensors=left.part(8, 16), more=right.part(8, 16), phase=phase))
        elif op == "sum":
            s.call("aten.sum", (), self=left, phase=phase)
        else:
            tensors.append(s.unary(op, left, phase=phase))
    return s.trace(*draw(st.lists(st.sampled_from(tensors), max_size=2)))


@given(streams())
def test_fusion_never_moves_more_nor_computes_otherwise(stream):
    eager, fused, serving = (totals(kernels(stream, fusion)) for fusion in FUSIONS)
    assert all(serving[unit] == fused[unit] == eager[unit] for unit in FLOP)
    for more, less in ((eager, fused), (fused, serving)):
        assert less["read"] + less["write"] <= more["read"] + more["write"]
        assert less["launches"] <= more["launches"]
    assert eager["launches"] == len(stream.calls)


@given(streams(), st.sampled_from(FUSIONS))
def test_what_is_resident_is_read(stream, fusion):
    for kernel in kernels(stream, fusion):
        assert sum(spec.bytes for spec in kernel.resident) <= work_of(kernel).read


@given(streams(), st.sampled_from(FUSIONS))
def test_folded_and_unfolded_totals_agree_exactly(stream, fusion):
    folded = kernels(stream, fusion)
    assert totals(unfold(folded)) == totals(folded)


def gpt2():
    return on_meta(transformers.GPT2LMHeadModel, transformers.GPT2Config(n_layer=4))


def bert():
    return on_meta(transformers.BertForMaskedLM, transformers.BertConfig(num_hidden_layers=4))


def llama():
    sizes = {"hidden_size": 512, "intermediate_size": 1376, "num_attention_heads": 8, "num_key_value_heads": 2, "vocab_size": 32000}
    return on_meta(transformers.LlamaForCausalLM, transformers.LlamaConfig(num_hidden_layers=4, **sizes), torch.bfloat16)


@pytest.fixture(scope="module", params=[gpt2, bert, llama], ids=lambda make: make.__name__)
def model(request):
    return request.param


@pytest.fixture(scope="module", params=[False, True], ids=["inference", "training"])
def traced(request, model):
    return trace(model(), token_ids(2, 128), backward=request.param, optimizer="adamw" if request.param else None)


def test_a_traced_model_moves_less_when_fused(traced):
    eager, fused = kernels(traced, "eager"), kernels(traced, "fused")
    assert moved(fused) < moved(eager)
    assert moved(fused) > traced.parameter_bytes  # every weight is read once at least
    assert totals(fused)["launches"] < 0.85 * totals(eager)["launches"]  # sums across rows stay by themselves
    for unit in FLOP:
        assert totals(fused)[unit] == pytest.approx(totals(eager)[unit], rel=1e-12, abs=0)


def test_eager_kernels_are_the_trace_counted(traced):
    eager = kernels(traced, "eager")
    assert totals(eager)["launches"] == len(traced.calls)
    assert totals(eager)["matmul_flop"] == traced.matmul_flop
    assert moved(eager) == sum(row["bytes"] for row in traced.rows("op"))


def test_products_and_attention_are_launched_as_often_either_way(traced):
    def library(fusion):
        return sum(kernel.launches for kernel in kernels(traced, fusion) if kernel.kind in ("matmul", "attention"))

    assert library("eager") == library("fused")


def test_layers_fold(traced):
    for fusion in ("eager", "fused"):
        folded = kernels(traced, fusion)
        attention = [kernel for kernel in folded if kernel.name == "est.attention"]
        assert sorted(attention[0].layers) == [0, 1, 2, 3]
        assert len(folded) < 0.6 * sum(kernel.launches for kernel in folded)


def test_launches_of_one_llama_layer():
    # norm, q, k, v, two rotations, cache concatenation of v, attention, o, norm with residual, gate, up, silu * up, down: 14.
    # Torch's compiler also leaves seven products, attention and these few kernels of a layer.
    fused = kernels(trace(llama(), token_ids(2, 128)), "fused")
    in_layers = sum(kernel.launches for kernel in fused if kernel.module.startswith("model.layers"))
    assert in_layers == 4 * 14


def test_time_grows_in_proportion_to_the_calls():
    def stream(layers):
        s = Stream()
        x, w = s.input(16, 16), s.input(16, 16)
        for layer in range(layers):
            module = f"layers.{layer}"
            x = s.binary("add", s.unary("silu", s.mm(x, w, module=module), module=module), x, module=module)
        return s.trace(x)

    def seconds(layers):
        traced, start = stream(layers), process_time()
        kernels(traced, "fused")
        return process_time() - start

    gc.disable()  # whose pauses grow with all objects alive, ours or not
    try:
        small, large = (min(seconds(layers) for _ in range(3)) for layers in (500, 4000))
    finally:
        gc.enable()
    assert large < 16 * small  # 8 times the calls; 64 times the seconds if it were quadratic


@pytest.mark.parametrize("fusion", FUSIONS)
def test_identical_layers_are_one_row_and_the_totals_those_of_every_launch(traced, fusion, monkeypatch):
    folded = kernels(traced, fusion)
    monkeypatch.setattr("estimator.model.fusion.fold", tuple)
    every = kernels(traced, fusion)
    assert all(not kernel.layers and kernel.count == 1 for kernel in every)
    assert sum(len(kernel.layers) == 4 for kernel in folded) > 5  # one row for all four layers
    assert len(every) > 2 * len(folded)
    assert totals(every) == totals(folded)  # whole numbers: to the last FLOP and byte
