"""Hybrid models: layers with a state beside layers with a cache, against closed forms derived by hand."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from estimator.model.architecture import load_architecture
from estimator.model.rules import work_of
from estimator.model.work import Kernel, Signature, TensorSpec
from estimator.run.engine_kernels import Batch, Engine
from estimator.run.lengths import Lengths

NEXT, NANO = "qwen3-next-80b-a3b", "nemotron-nano-9b-v2"
STATES = {NEXT: 36 * 32 * 128 * 128, NANO: 27 * 128 * 80 * 128}  # layers x heads x K x V


def matmul_flop(name, step, **sizes):
    """FLOP of products that are executed: a window leaves out the pairs beyond it."""
    launched = load_architecture(name).programs[step].at("eager", **sizes)
    return sum(work_of(kernel).tensor_flop * kernel.launches for kernel in launched)


@settings(max_examples=10)
@given(b=st.integers(1, 300), past=st.integers(1, 9000))
def test_a_decoded_token_does_the_work_that_the_widths_imply(b, past):
    # 27 Mamba-2 layers: gate and x of 128 heads of 80, queries and keys of 8 groups of 128, a step for each head; four taps for
    # each channel; 25 feed-forward layers of two matrices; 4 attention layers of 40 heads and 8 key heads of 128; the head
    d, inner, groups = 4480, 128 * 80, 2 * 8 * 128
    mamba = 2 * d * (2 * inner + groups + 128) + 2 * inner * d + 2 * 4 * (inner + groups)
    attention = 2 * d * 128 * (2 * 40 + 2 * 8) + 4 * 40 * 128 * (past + 1)
    expected = b * (27 * mamba + 25 * 2 * 2 * d * 15680 + 4 * attention + 2 * d * 131072)
    assert matmul_flop(NANO, "decode", batch=b, past=past) == pytest.approx(expected, rel=1e-12, abs=0)


@pytest.mark.parametrize("name", STATES)
def test_states_take_the_same_memory_whatever_the_length(name):
    model = load_architecture(name)
    assert model.state_bytes == 4 * STATES[name]
    assert model.kv_bytes(1000) - model.kv_bytes(0) == 1000 * model.kv_bytes_per_token
    assert model.kv_bytes(0) == model.state_bytes
    assert type(model).from_json(model.to_json()) == model


@pytest.mark.parametrize("name", STATES)
@settings(max_examples=5)
@given(b=st.integers(1, 64), past=st.integers(1, 5000))
def test_a_token_reads_and_writes_every_state_once(name, b, past):
    kernels = [k for k in load_architecture(name).programs["decode"].at("serving", batch=b, past=past) if k.name == "est.state_step"]
    moved = sum((work_of(kernel).read + work_of(kernel).write) * kernel.launches for kernel in kernels)
    assert moved == pytest.approx(2 * 4 * b * STATES[name], rel=0.01, abs=0)  # besides one token's queries, keys and values


def test_only_attention_layers_do_more_for_a_longer_cache():
    one, two = (matmul_flop(NEXT, "decode", batch=1, past=past) for past in (1000, 1001))
    assert two - one == 12 * 16 * 2 * (256 + 256)  # 12 of 48 layers, 16 heads of 256


def test_a_prompt_costs_recurrent_layers_the_same_for_each_token():
    # beyond a chunk the second difference is that of the 12 attention layers: 4 · 16 · 256 for each of s (s + 1) / 2 pairs of tokens
    s, step = 2000, 500
    first, second, third = (matmul_flop(NEXT, "prefill", batch=1, sequence=s + i * step) for i in range(3))
    assert third - 2 * second + first == pytest.approx(step**2 * 12 * 4 * 16 * 256, rel=1e-9, abs=0)


@pytest.mark.parametrize("name", STATES)
def test_a_serving_step_changes_the_states_of_decoding_sequences_alone(name):
    # a prompt goes through in chunks: its tokens neither read nor write a state each, but all attend and multiply
    engine = Engine(load_architecture(name).programs, "serving")

    def launched(**prompts):
        return [kernel for kernel, _ in engine.kernels(Batch(8, Lengths(1000.0), **prompts))]

    def states(kernels):
        return sum(k.signatures[0]["state"].bytes * k.launches for k in kernels if k.name == "est.state_step")

    alone, mixed = launched(), launched(prompts=1.0, new=512.0)
    assert states(alone) == states(mixed) == 4 * 8 * STATES[name]
    products = [
        sum(work_of(k).tensor_flop * k.launches for k in kernels if k.name in ("est.attention", "aten.bmm")) for kernels in (alone, mixed)
    ]
    prefill = [
        k
        for k in load_architecture(name).programs["prefill"].at("serving", batch=1, sequence=512)
        if k.name in ("est.attention", "aten.bmm")
    ]
    assert products[1] - products[0] == pytest.approx(sum(work_of(k).tensor_flop * k.launches for k in prefill), rel=1e-12, abs=0)


@given(heads=st.integers(1, 64), k=st.integers(1, 256), v=st.integers(1, 256))
def test_a_state_step_works_seven_times_on_each_number_of_the_state(heads, k, v):
    state, row, out = TensorSpec((2, heads, k, v), "fp32"), TensorSpec((2, heads, 1, k), "bf16"), TensorSpec((2, heads, 1, v), "bf16")
    call = Signature("est.state_step", (("state", state), ("query", row), ("key", row), ("value", out)), (out,))
    work = work_of(Kernel("est.state_step", "pointwise", "forward", "", (call,), (state, row, row, out), (state, out), "fp32"))
    assert work.flop == 7 * 2 * heads * k * v
    assert work.read + work.write == 2 * state.bytes + 2 * row.bytes + 2 * out.bytes


def test_attention_in_several_kernels_is_served_as_if_every_row_decoded():
    # BLOOM adds a bias of positions to its scores, which are products and a softmax of their own: they stay with the other rows
    engine = Engine(load_architecture("bloom-7b1").programs, "serving")
    kernels = [kernel for kernel, _ in engine.kernels(Batch(8, Lengths(1000.0)))]
    decode = load_architecture("bloom-7b1").programs["decode"].at("serving", batch=8, past=1000)
    both = [sum(work_of(k).tensor_flop * k.launches for k in some) for some in (kernels, decode)]
    assert both[0] == pytest.approx(both[1], rel=1e-12, abs=0)
