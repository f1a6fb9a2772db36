"""Fused attention: visible pairs by brute force, torch's formulas, shared key heads, windows, bytes without scores."""

from math import isclose

import numpy as np
import pytest
import sympy
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.flop_counter import flop_registry

from estimator.model.rules import work_of_signature
from estimator.model.rules.attention import visible_pairs
from tests.model.signatures import signature, tensor

aten = torch.ops.aten
few = st.integers(1, 6)
lengths = st.integers(1, 40)
windows = st.one_of(st.none(), st.integers(1, 50))


def attention(batch, heads, kv_heads, queries, keys, size, value_size=None, *, format="bf16", **settings):
    query = tensor(batch, heads, queries, size, format=format)
    key = tensor(batch, kv_heads, keys, size, format=format)
    value = tensor(batch, kv_heads, keys, size if value_size is None else value_size, format=format)
    out = tensor(batch, heads, queries, value.shape[-1], format=format)
    given = {"mask": None, "dropout": 0.0, "causal": False, "scale": None, "window": None} | settings
    return signature("est.attention", out, tensor(batch, heads, queries), query=query, key=key, value=value, **given)


def backward(call):
    settings = dict(call.arguments)
    operands = {name: settings.pop(name) for name in ("query", "key", "value")}
    out, logsumexp = call.outputs
    return signature(
        "est.attention_backward", *operands.values(), grad=out, **operands, out=out, logsumexp=logsumexp, **settings, need=(True,) * 4
    )


def mask_of(queries, keys, causal, window):
    """The textbook mask: the last query stands at the last key."""
    row, column = np.arange(queries)[:, None] + keys - queries, np.arange(keys)[None, :]
    seen = np.ones((queries, keys), bool) if not causal else column <= row
    return seen if window is None else seen & (column > row - window)


@given(lengths, lengths, windows)
def test_visible_pairs_are_what_the_mask_leaves(queries, keys, window):
    assert visible_pairs(queries, keys, True, window) == mask_of(queries, keys, True, window).sum()


@given(lengths, lengths)
def test_without_a_mask_every_pair_is_visible(queries, keys):
    assert visible_pairs(queries, keys, False, None) == queries * keys


@given(lengths, lengths, st.integers(1, 50))
def test_a_window_without_causality_counts_full_windows(queries, keys, window):
    assert visible_pairs(queries, keys, False, window) == queries * min(window, keys)


@given(few, few, lengths, lengths, lengths, windows, st.booleans())
def test_masks_change_what_is_executed_and_never_the_dense_count(batch, heads, queries, keys, size, window, causal):
    masked = work_of_signature(attention(batch, heads, heads, queries, keys, size, causal=causal, window=window))
    dense = work_of_signature(attention(batch, heads, heads, queries, keys, size))
    assert masked.matmul_flop == dense.matmul_flop == dense.tensor_flop
    share = visible_pairs(queries, keys, causal, window) / (queries * keys)
    assert isclose(masked.tensor_flop, share * dense.tensor_flop, rel_tol=1e-12)
    assert masked.special_flop <= dense.special_flop


@given(few, few, few, lengths, lengths, lengths, lengths)
def test_work_is_linear_in_the_batch(times, batch, heads, queries, keys, size, value_size):
    once, more = (attention(n, heads, heads, queries, keys, size, value_size, causal=True) for n in (batch, times * batch))
    for turn in (lambda call: call, backward):
        a, b = work_of_signature(turn(once)), work_of_signature(turn(more))
        assert b.matmul_flop == times * a.matmul_flop
        assert (b.read, b.write) == (times * a.read, times * a.write)
        assert isclose(b.flop, times * a.flop, rel_tol=1e-12)


@given(few, few, lengths, lengths, lengths, lengths)
def test_forward_equals_torchs_formula(batch, heads, queries, keys, size, value_size):
    call = attention(batch, heads, heads, queries, keys, size, value_size)
    shapes = (call[name].shape for name in ("query", "key", "value"))
    assert work_of_signature(call).matmul_flop == flop_registry[aten._scaled_dot_product_flash_attention](*shapes)


@given(few, few, lengths, lengths, lengths, lengths)
def test_backward_equals_torchs_formula(batch, heads, queries, keys, size, value_size):
    call = attention(batch, heads, heads, queries, keys, size, value_size)
    shapes = (tuple(spec.shape) for spec in (call.outputs[0], call["query"], call["key"], call["value"]))
    assert work_of_signature(backward(call)).matmul_flop == flop_registry[aten._scaled_dot_product_flash_attention_backward](*shapes)


def test_grouped_queries_with_a_narrower_value_and_a_mask():
    # 8 query heads on 2 key heads, 64 queries, 96 keys, head sizes 48 and 32, batch 2: forward 2*2*8*64*96*(48+32);
    # backward recomputes the scores: three products over 48 and two over 32 (acceptance case of the tracer)
    call = attention(2, 8, 2, 64, 96, 48, 32, mask=tensor(64, 96, format="bool"))
    assert work_of_signature(call).matmul_flop == 15_728_640
    assert work_of_signature(backward(call)).matmul_flop == 40_894_464


def test_bytes_are_queries_keys_values_and_output_once():
    # batch 2, 8 heads on 2, S=64, T=96, d=48, dv=32, 2 bytes: q 98,304, k 36,864, v 24,576; out 65,536 and 4 bytes of log-sum per row
    call = attention(2, 8, 2, 64, 96, 48, 32)
    work = work_of_signature(call)
    assert work.read == 98_304 + 36_864 + 24_576
    assert work.write == 65_536 + 4 * 2 * 8 * 64
    assert work_of_signature(backward(call)).read == work.read + work.write + 65_536  # and grad, as large as out


@given(st.integers(1, 4096), st.integers(1, 4096))
def test_a_decoded_token_reads_only_the_keys_in_its_window(keys, window):
    read = work_of_signature(attention(1, 8, 2, 1, keys, 64, causal=True, window=window)).read
    assert read == 2 * (8 * 64 + 2 * 2 * min(keys, window) * 64)


@given(lengths, lengths, st.integers(1, 50))
def test_keys_in_reach_are_those_that_some_query_sees(queries, keys, window):
    if queries > keys:
        return
    reached = mask_of(queries, keys, True, window).any(0).sum()
    work = work_of_signature(attention(1, 1, 1, queries, keys, 16, causal=True, window=window))
    assert work.read == 2 * 16 * (queries + 2 * reached)


def test_softmax_work_follows_the_executed_scores():
    # 2*4 heads, S=T=10, causal: 55 of 100 scores each. Per score 4 vector and 1 special; per output element 1 vector
    work = work_of_signature(attention(2, 4, 4, 10, 10, 16, causal=True))
    assert isclose(work.special_flop, 8 * 55, rel_tol=1e-12)
    assert isclose(work.vector_flop, 8 * (4 * 55 + 10 * 16), rel_tol=1e-12)


def test_mask_and_dropout_add_vector_work():
    plain, masked, dropped = (
        work_of_signature(attention(1, 1, 1, 8, 8, 4, **settings)).vector_flop
        for settings in ({}, {"mask": tensor(8, 8)}, {"dropout": 0.1})
    )
    assert masked == plain + 64
    assert dropped > masked


def torch_fused(name, **settings):
    shapes = {"query": tensor(2, 4, 10, 16), "key": tensor(2, 4, 12, 16), "value": tensor(2, 4, 12, 16)}
    return signature(f"aten.{name}", tensor(2, 4, 10, 16), tensor(2, 4, 10), **shapes, **settings)


@pytest.mark.parametrize("kind", ["flash_attention", "efficient_attention", "cudnn_attention", "flash_attention_for_cpu"])
def test_torchs_own_fused_operations_cost_the_same(kind):
    ours = work_of_signature(attention(2, 4, 4, 10, 12, 16, causal=True, format="fp32"))
    theirs = work_of_signature(torch_fused(f"_scaled_dot_product_{kind}", dropout_p=0.0, is_causal=True))
    assert theirs == ours


def test_torchs_backward_reads_the_forward_output():
    call = torch_fused("_scaled_dot_product_flash_attention", dropout_p=0.0, is_causal=True)
    gradients = (call["query"], call["key"], call["value"])
    saved = {"out": call.outputs[0], "logsumexp": call.outputs[1]}
    theirs = signature(
        "aten._scaled_dot_product_flash_attention_backward", *gradients, grad_out=call.outputs[0], **dict(call.arguments), **saved
    )
    assert work_of_signature(theirs) == work_of_signature(backward(attention(2, 4, 4, 10, 12, 16, causal=True, format="fp32")))


@pytest.mark.parametrize("settings", [{}, {"causal": True}, {"causal": True, "window": 7}], ids=str)
@pytest.mark.parametrize("turn", [lambda call: call, backward], ids=["forward", "backward"])
def test_symbols_and_arrays_give_what_numbers_give(turn, settings):
    symbols, values = sympy.symbols("batch queries keys", positive=True, integer=True), (2, 10, 14)

    def work(batch, queries, keys):
        return work_of_signature(turn(attention(batch, 8, 2, queries, keys, 16, **settings)))

    exact, symbolic, arrays = work(*values), work(*symbols), work(*(np.array([value, 3.0 * value]) for value in values))
    for quantity in ("matmul_flop", "flop", "read", "write"):
        want = getattr(exact, quantity)
        assert isclose(float(getattr(symbolic, quantity).subs(dict(zip(symbols, values)))), want, rel_tol=1e-12)
        assert isclose(getattr(arrays, quantity)[0], want, rel_tol=1e-12)


@given(few, few, lengths, lengths, lengths)
def test_appending_to_the_cache_touches_only_the_new_rows(batch, heads, past, new, size):
    cache, rows = tensor(batch, heads, past, size, format="bf16"), tensor(batch, heads, new, size, format="bf16")
    grown = tensor(batch, heads, past + new, size, format="bf16")
    work = work_of_signature(signature("est.kv_append", grown, cache=cache, new=rows))
    assert (work.flop, work.read, work.write) == (0, rows.bytes, rows.bytes)
