"""A vLLM module outside its compiler: PyTorch's own kernels, one for each operation."""

import math

from hypothesis import given
from hypothesis import strategies as st

from estimator.hardware.catalogue import load_profile
from estimator.model.rules import work_of
from estimator.run.demands import demand_of
from estimator.run.elementwise import strided
from estimator.run.stack import load_stack
from estimator.validation.kernels import stack_of
from estimator.validation.latent import latent_module
from estimator.validation.native import norm, rotation
from estimator.validation.rows import Row

STACK = load_stack("recorded")


@given(st.integers(1, 10000), st.integers(1, 128))
def test_twice_the_tokens_are_twice_the_bytes(tokens, heads):
    for passes in (lambda n: norm(n, 1536), lambda n: rotation(n, heads, 64)):
        once, twice = (sum(work_of(k).read + work_of(k).write for k in passes(n)) for n in (tokens, 2 * tokens))
        assert once < twice <= 2 * once


def test_a_norm_moves_each_element_six_times_over():
    # bytes of an element: widen 2 + 4, square 4 + 4, average 4, scale 4 + 4, narrow 4 + 2, weigh 2 + 2; means and weights beside
    moved = sum(work_of(kernel).read + work_of(kernel).write for kernel in norm(1000, 512))
    assert math.isclose(moved, 1000 * 512 * 36 + 2 * 1000 * 4 + 2 * 512, rel_tol=1e-9)


def test_parts_of_rows_and_broadcast_operands_are_addressed_one_by_one():
    assert [strided(kernel) for kernel in norm(1000, 512)] == [True, False, False, True, False, True]
    profile, (widen, square, *_) = load_profile("h200-sxm"), norm(1000, 512)
    assert demand_of(widen, profile, STACK).integer_ops == 1000 * 512 * float(STACK.strided_element_ops)
    assert demand_of(square, profile, STACK).integer_ops == 1000 * 512 * float(STACK.element_ops)


def test_only_modules_of_vllm_run_outside_a_compiler():
    columns = {"task": "mla_context_module", "precision": "bfloat16/kv bfloat16", "batch_size": "2", "input_len": "1024", "num_heads": "16"}
    alone, other = (Row("x.csv", 2, columns | {"framework": name}) for name in ("VLLM 0.22.0", "TRTLLM 1.3"))
    assert (stack_of(alone), stack_of(other)) == ("recorded", "compiled")
    assert stack_of(Row("x.csv", 2, columns | {"framework": "VLLM 0.22.0", "task": "gemm"})) == "compiled"
    assert len(latent_module(alone)) > len(latent_module(other))
    same = [sum(work_of(kernel).matmul_flop for kernel in latent_module(row)) for row in (alone, other)]
    assert math.isclose(*same, rel_tol=1e-9)
