"""Kernels that TensorRT-LLM takes where it has none of the chip's own."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator.hardware.catalogue import load_profile
from estimator.model.rules import work_of
from estimator.run.attention import LANES, WARP
from estimator.run.demands import demand_of
from estimator.run.stack import load_stack
from estimator.validation.rows import Row
from estimator.validation.signatures import attention, gemm, quantise

B200, STACK = load_profile("b200-sxm"), load_stack("compiled")
COLUMNS = {
    "row_id": "1", "hardware": "NVIDIA B200", "framework": "TRTLLM 1.3.0rc15", "kernel_source": "torch_flow", "precision": "bfloat16",
    "batch_size": "4", "input_len": "1024", "context_len": "4096", "num_heads": "16", "num_kv_heads": "16", "head_dim": "64",
}  # fmt: skip


def row(**columns: str) -> Row:
    return Row("rows.csv", 2, COLUMNS | columns)


def encoder(size, **columns):
    return attention(row(task="encoder_attention", head_dim=str(size), **columns))[-1]


def decode(heads, key_heads=1, **columns):
    return attention(row(task="generation_attention", num_heads=str(heads), num_kv_heads=str(key_heads), **columns))[-1]


def test_head_sizes_without_a_generated_kernel_use_older_instructions():
    assert encoder(72).signatures[0].get("instructions") == encoder(104).signatures[0].get("instructions") == WARP
    assert all(encoder(size).signatures[0].get("instructions") is None for size in (64, 80, 128))
    assert encoder(72, framework="VLLM 0.22.0").signatures[0].get("instructions") is None
    assert encoder(72, hardware="NVIDIA H200").signatures[0].get("instructions") is None


def test_many_query_heads_for_a_key_head_decode_without_tensor_units():
    assert decode(64).signatures[0].get("instructions") == LANES
    assert decode(64, 2).signatures[0].get("instructions") is None


def test_older_instructions_pad_head_sizes_to_powers_of_two():
    # 72 runs as 128 instead of 96, at 900 multiply-adds a clock instead of 4096
    new, old = demand_of(encoder(72, framework="VLLM"), B200, STACK), demand_of(encoder(72), B200, STACK)
    assert math.isclose(old.mac_slots / new.mac_slots, 128 / 96 * 4096 / 900, rel_tol=1e-6)
    assert math.isclose((old.macs + old.mac_padding) / old.macs, 128 / 72, rel_tol=1e-6)
    assert old.overlap < new.overlap


@given(st.integers(33, 128), st.integers(128, 8192))
def test_lanes_read_the_cache_once_for_every_query_head(heads, keys):
    kernel = decode(heads, context_len=str(keys))
    demand, work = demand_of(kernel, B200, STACK), work_of(kernel)
    cache = 2 * 2 * 4 * keys * 64  # bytes of keys and values, 16 bits, 4 sequences of one head of 64
    assert demand.unit == "vector" and math.isclose(demand.macs, work.tensor_flop / 2, rel_tol=1e-9)
    assert math.isclose(demand.l2_bytes - demand.memory_bytes, (heads - 1) * cache, rel_tol=1e-9)


def test_a_scale_that_nobody_gave_is_searched_before_an_fp8_product():
    # m × k in 16 bits read once more than by the pass that scales
    layer = {"task": "gemm", "m": "4096", "n": "256", "k": "8192", "precision": "fp8"}
    searching, plain = gemm(row(**layer)), gemm(row(**layer, framework="VLLM 0.22.0"))
    assert searching[1:] == plain
    assert math.isclose(work_of(searching[0]).read, 2 * 4096 * 8192, rel_tol=1e-9)
    assert len(gemm(row(**layer | {"precision": "bfloat16"}))) == 1


def test_one_element_a_thread_moves_so_many_bytes_in_a_clock_on_any_chip():
    search = quantise(row(task="computescale", m="16384", k="16384", precision="bf16->fp8"))[0]
    for name in ("b200-sxm", "h200-sxm"):
        profile = load_profile(name)
        demand = demand_of(search, profile, STACK)
        moved = demand.memory_share * profile.memory.bandwidth * profile.achievable.memory / profile.die.multiprocessors
        assert moved / profile.clock.boost == pytest.approx(float(STACK.scalar_pass_rate), rel=1e-6, abs=0)
