"""Lighter models: what is narrowed or left out, and nothing else, gets lighter."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator.api import estimate
from estimator.model.architecture import load_architecture
from estimator.model.rules import work_of
from estimator.run.mitigation import quantised, without_layers
from estimator.run.settings import Inference, Training

LLAMA, GPT2 = load_architecture("llama-3.1-8b"), load_architecture("gpt2")


def decode(model, batch=1, past=128):
    return model.programs["decode"].at("fused", batch=batch, past=past)


def weights_read(model):
    return sum(kernel.launches * work_of(kernel).read for kernel in decode(model) if kernel.kind == "matmul")


def test_eight_bit_weight_products_read_half_the_bytes_and_do_the_same_flop():
    narrow = quantised(LLAMA, "fp8_e4m3")
    assert math.isclose(weights_read(narrow), weights_read(LLAMA) / 2, rel_tol=1e-12)
    flop = [sum(kernel.launches * work_of(kernel).matmul_flop for kernel in decode(model)) for model in (LLAMA, narrow)]
    assert flop[0] == flop[1]


def test_eight_bit_weights_take_half_the_memory_but_for_what_is_no_product():
    # by hand: Llama 3.1 8B has 128256 × 4096 embedding weights and 65 norms of 4096; all else are products
    kept = 128256 * 4096 + 65 * 4096
    assert math.isclose(quantised(LLAMA, "fp8_e4m3").parameter_bytes, 2 * kept + (LLAMA.parameters - kept), rel_tol=1e-12)


def test_attention_and_cache_stay_as_they_were():
    narrow = quantised(LLAMA, "int8")
    untouched = [[k for k in decode(model) if k.kind not in ("matmul", "convolution")] for model in (LLAMA, narrow)]
    assert untouched[0] == untouched[1]
    assert narrow.kv_bytes_per_token == LLAMA.kv_bytes_per_token


@pytest.mark.parametrize("hw", ["H100", "A100", "V100"])
def test_narrower_products_never_cost_more(hw):
    run = Inference(batch=4, prompt_tokens=64, output_tokens=16)
    assert estimate(quantised(LLAMA, "int8"), hw, run).energy < estimate(LLAMA, hw, run).energy


@given(st.sampled_from([0.25, 0.5, 0.75]))
def test_layers_that_are_gone_take_their_weights_work_and_cache_with_them(share):
    shallow = without_layers(LLAMA, share)
    kept = 1 - share
    # by hand: one Llama 3.1 8B layer has 4096 · (4096 + 2 · 1024 + 4096 + 3 · 14336) weights in products
    gone = 32 * share * 4096 * (2 * 4096 + 2 * 1024 + 3 * 14336)
    assert math.isclose(shallow.parameters, LLAMA.parameters - gone, rel_tol=1e-9)
    assert math.isclose(shallow.kv_bytes_per_token, kept * LLAMA.kv_bytes_per_token, rel_tol=1e-12)
    repeated = [sum(k.launches * work_of(k).matmul_flop for k in decode(model) if k.layers) for model in (LLAMA, shallow)]
    assert math.isclose(repeated[1], kept * repeated[0], rel_tol=1e-9)


def test_one_layer_is_always_kept():
    assert without_layers(GPT2, 1.0).name == "gpt2 with 1 of 12 layers"


def test_a_lighter_model_trains_too():
    run = Training(batch=2, sequence_tokens=64)
    assert estimate(without_layers(GPT2, 0.5), "A100", run).energy < estimate(GPT2, "A100", run).energy
