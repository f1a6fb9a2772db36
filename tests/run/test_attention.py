"""Attention cut into tiles of queries and blocks of keys."""

import math
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from estimator.hardware.catalogue import load_profile
from estimator.hardware.roofline import duration
from estimator.model.rules import work_of
from estimator.model.work import TensorSpec
from estimator.run.attention import attention_blocks, attention_tiling, in_pairs
from estimator.run.demands import demand_of
from estimator.run.stack import load_stack
from estimator.validation.signatures import attention_kernel

H200, B200, STACK = load_profile("h200-sxm"), load_profile("b200-sxm"), load_stack("compiled")


def attend(queries, keys, heads=64, key_heads=8, size=128, window=None, causal=True, number_format="bf16"):
    query, key = TensorSpec((1, heads, queries, size), number_format), TensorSpec((1, key_heads, keys, size), number_format)
    return attention_kernel(query, key, key, causal, window, number_format)


def blocks(kernel, profile=H200):
    return attention_blocks(kernel, work_of(kernel), profile)


def tiling(kernel, profile=H200):
    return attention_tiling(kernel, work_of(kernel), 2.0, profile)


@given(st.integers(1, 8192), st.integers(0, 8192), st.sampled_from([None, 64, 128, 1000]))
def test_blocks_hold_every_visible_pair_and_at_most_all_of_them(queries, past, window):
    kernel = attend(queries, queries + past, window=window)
    work = work_of(kernel)
    computed = blocks(kernel).computed
    assert computed >= 1 - 1e-9
    keys = math.ceil((queries + past) / 128) * 128
    assert work.products[0].executed * computed * (queries + past) <= keys * (1 + 1e-9)


def test_a_causal_mask_is_followed_tile_by_tile():
    # 1024 queries in 8 tiles of 128: tile i computes with 128 (i + 1) keys, 576 on average where 512.5 are visible
    assert math.isclose(blocks(attend(1024, 1024)).computed, 576.5 / 512.5, rel_tol=1e-6)


def test_a_short_window_costs_whole_blocks_at_both_edges():
    # far from the start, a tile of 128 queries with a window of 128 computes with 128 + 128 keys where each query sees 128
    computed = blocks(attend(65536, 65536, window=128)).computed
    assert math.isclose(computed, 2, rel_tol=0.01)
    # two instructions of 128 rows make a tile on Blackwell: 256 + 128 keys
    assert math.isclose(blocks(attend(65536, 65536, window=128), B200).computed, 3, rel_tol=0.01)


def test_a_decoded_token_computes_with_what_it_sees():
    assert math.isclose(blocks(attend(1, 4096)).computed, 1, rel_tol=1e-9)


def test_head_sizes_are_padded_to_what_the_instruction_takes():
    # 80 runs as 96, 96 as it is
    padded, whole = (tiling(attend(4096, 4096, size=size)).slots for size in (80, 96))
    assert math.isclose(padded, whole, rel_tol=1e-9)


def test_every_tile_waits_twice_for_what_nothing_overlaps():
    # 64 heads × 4096 queries ÷ 128 rows = 2048 tiles on 132 multiprocessors
    assert math.isclose(tiling(attend(4096, 4096)).rounds, 2 * 2048 / 132, rel_tol=1e-9)


def test_keys_and_values_pass_once_for_each_tile_of_queries():
    # all 64 heads × 32 tiles stream 4096 keys and values of 128 × 2 bytes without a mask
    streamed = 64 * 32 * 4096 * 2 * 128 * 2
    assert math.isclose(tiling(attend(4096, 4096, causal=False)).l2_bytes, streamed, rel_tol=1e-9)


def test_a_fused_kernel_narrows_and_rescales_beside_its_softmax():
    # a score of a head of 128: 4 of the softmax, 1 to narrow the probability, 128 outputs scaled once for 128 keys; 1 for each output
    kernel = attend(4096, 4096, causal=False)
    asked, scores = demand_of(kernel, H200, STACK), 64 * 4096 * 4096
    assert math.isclose(asked.vector_ops, 6 * scores + 64 * 4096 * 128, rel_tol=1e-6)
    assert math.isclose(asked.special_ops, scores, rel_tol=1e-6)


def test_a_tile_runs_alone_where_accumulators_of_two_do_not_fit():
    # tensor memory of 512 columns: two tiles of 128 scores and 128 outputs fit, of 128 and 256 do not
    paired, alone = attend(4096, 4096), attend(4096, 4096, size=256)
    assert in_pairs(paired, B200) and not in_pairs(alone, B200) and in_pairs(alone, H200)
    assert blocks(paired, B200).tile == 2 * blocks(alone, B200).tile == 256
    assert demand_of(paired, B200, STACK).overlap == STACK.softmax_overlap
    assert demand_of(alone, B200, STACK).overlap == STACK.serial_softmax_overlap


@given(st.integers(1, 4096), st.sampled_from([64, 128]))
def test_eight_bit_values_are_turned_once_for_each_tile_where_the_instruction_wants_it(queries, size):
    turned, plain, newer = (
        demand_of(attend(queries, 4096, size=size, causal=False, number_format=kind), profile, STACK).transposed_bytes
        for kind, profile in (("fp8_e4m3", H200), ("bf16", H200), ("fp8_e4m3", B200))
    )
    assert plain == newer == 0
    assert turned >= 8 * 4096 * size  # every value of the 8 key heads at least once


def test_turning_values_bounds_long_prefill_in_eight_bits():
    # 64 heads of 4096 × 4096 scores in tiles of 128 queries: 64 × 4096 × 4096 × 128 ÷ 128 bytes at 4.8 a clock on each of 132
    demand = demand_of(attend(4096, 4096, causal=False, number_format="fp8_e4m3"), H200, STACK)
    rounds = duration(replace(demand, rounds=0), H200)
    assert demand.transposed_bytes == 64 * 4096 * 4096
    assert rounds.core_resource == "shared" and math.isclose(rounds.cycles, 64 * 4096 * 4096 / 132 / 4.8, rel_tol=1e-6)
