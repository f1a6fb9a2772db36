"""States handed from chunk to chunk: work in closed form, and chunks that wait for each other."""

from math import ceil, isclose

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator.hardware.catalogue import load_profile
from estimator.hardware.roofline import duration
from estimator.model.rules import work_of
from estimator.model.work import Kernel, Signature, TensorSpec
from estimator.run.demands import demand_of
from estimator.run.recurrence import STATE_PASS, serial_rounds
from estimator.run.stack import load_stack

H200, STACK = load_profile("h200-sxm"), load_stack("compiled")


def passing(states, steps, chunk=64, keys=128, values=128):
    state, out = TensorSpec((states, keys, values), "fp32"), TensorSpec((states * steps, keys, values), "bf16")
    signature = Signature(STATE_PASS, (("state", state), ("steps", steps), ("chunk", chunk)), (out,))
    return Kernel("pass states", "recurrence", "forward", "", (signature,), format="bf16")


def seconds(kernel):
    return duration(demand_of(kernel, H200, STACK), H200).seconds(float(H200.clock.boost))


@given(st.integers(1, 132), st.integers(1, 512))
def test_twice_the_chunks_take_twice_the_rounds_and_the_flop(states, steps):
    once, twice = passing(states, steps), passing(states, 2 * steps)
    assert serial_rounds(twice, H200) == 2 * serial_rounds(once, H200)
    assert work_of(twice).flop == 2 * work_of(once).flop


@given(st.integers(1, 1000), st.integers(1, 64))
def test_states_share_the_multiprocessors_and_then_take_turns(states, steps):
    assert serial_rounds(passing(states, steps), H200) == steps * ceil(states / 132)


def test_a_chunk_reads_its_tokens_against_the_state_and_adds_their_outer_products():
    # 2 (64 × 128 × 128) + 2 (128 × 128 × 64) = 4,194,304 for each of 3 × 5 chunks, and one decay of 128 × 128
    assert work_of(passing(3, 5)).matmul_flop == 15 * 4_194_304
    assert work_of(passing(3, 5)).vector_flop == 15 * 128 * 128


def test_a_lone_sequence_waits_for_every_chunk():
    # 16 heads of one sequence, 1024 chunks: 1024 fills of a tile at the highest clock, however few bytes there are
    waiting = 1024 * float(H200.tensor.tile_fill) / float(H200.clock.boost)
    assert waiting < seconds(passing(16, 1024)) < 1.35 * waiting


def test_other_kernels_pass_no_state():
    a = TensorSpec((64, 64), "bf16")
    product = Kernel("aten.mm", "matmul", "forward", "", (Signature("aten.mm", (("self", a), ("mat2", a)), (a,)),), format="bf16")
    assert serial_rounds(product, H200) is None


@pytest.mark.parametrize(
    ("columns", "measured"),
    [  # NVIDIA aiconfigurator kernel tables (github.com/ai-dynamo/aiconfigurator, commit 095f58a): seconds of one call on B200
        ({"kernel_source": "chunk_gated_delta_rule", "task": "gdn", "batch_size": "1", "num_tokens": "4096", "num_k_heads": "16",
          "head_k_dim": "128", "num_v_heads": "32", "head_v_dim": "128"}, 0.2782e-3),
        ({"kernel_source": "mamba_chunk_scan_combined", "task": "mamba2", "batch_size": "32", "num_tokens": "65536", "nheads": "128",
          "head_dim": "64", "n_groups": "8", "d_state": "128", "chunk_size": "128"}, 5.035e-3),
    ],
)  # fmt: skip
def test_published_recurrences_are_met_within_half(columns, measured):
    from estimator.validation.kernels import predict
    from estimator.validation.rows import Row

    row = Row("kernels", 2, {"kind": "kernel", "hardware": "NVIDIA B200", "power_limit_w": "1000", "n_gpus": "1", **columns})
    assert isclose(predict(row).time / measured, 1, rel_tol=0.5)


def test_an_unknown_recurrence_says_so():
    from estimator.validation.recurrent import recurrence
    from estimator.validation.rows import NotPredicted, Row

    with pytest.raises(NotPredicted, match="no rule for the recurrence 'selective_copy'"):
        recurrence(Row("kernels", 2, {"kernel_source": "selective_copy"}))


def test_a_multiprocessor_moves_so_many_bytes_in_a_clock_whatever_the_memory_could():
    moved = []
    for profile in (H200, load_profile("b200-sxm")):
        demand = demand_of(passing(4096, 16), profile, STACK)
        streamed = demand.memory_share * profile.memory.bandwidth * profile.achievable.memory
        moved.append(streamed / profile.die.multiprocessors / profile.clock.boost)
    assert moved == [pytest.approx(float(STACK.recurrence_rate), rel=1e-6, abs=0)] * 2
