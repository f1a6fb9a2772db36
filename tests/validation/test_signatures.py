"""Kernels of published benchmarks stated as signatures."""

import math

from estimator.model.rules import work_of
from estimator.validation.rows import Row
from estimator.validation.signatures import grouped, mixture


def expert_row(**columns):
    base = {"precision": "bfloat16", "num_tokens": "1024", "hidden": "4096", "inter": "1536", "topk": "8", "experts": "128"}
    return Row("x.csv", 2, base | {"distribution": "balanced", "kernel_source": "vllm_fused_moe"} | columns)


def test_experts_are_grouped_by_their_rows_and_nothing_is_lost():
    rows = (1.0, 1.0, 3.0, 100.0)
    kernel = grouped(rows, 64, 32, "bfloat16", sum(rows))
    assert len(kernel.signatures) == 3  # 1, 3 and 100 rows differ by more than a factor of two
    work = work_of(kernel)
    assert math.isclose(work.matmul_flop, 2 * 105 * 64 * 32, rel_tol=1e-9)
    assert math.isclose(work.read, 2 * (105 * 64 + 4 * 64 * 32), rel_tol=1e-9)


def test_balanced_experts_are_one_product_each_of_all_their_rows():
    # 1024 × 8 rows over 128 experts: gate and up, then down, 6 FLOP for each of rows × hidden × inter
    kernels = mixture(expert_row())
    assert math.isclose(sum(work_of(k).matmul_flop for k in kernels), 6 * 8192 * 4096 * 1536, rel_tol=1e-9)


def test_between_the_products_fused_experts_pass_the_rows_of_other_devices_too():
    local, shared = mixture(expert_row()), mixture(expert_row(moe_ep="8"))
    assert math.isclose(work_of(local[1]).read, work_of(shared[1]).read, rel_tol=1e-9)
    assert math.isclose(work_of(local[0]).matmul_flop, 8 * work_of(shared[0]).matmul_flop, rel_tol=1e-9)
    elsewhere = mixture(expert_row(moe_ep="8", kernel_source="moe_torch_flow_cutlass"))
    assert math.isclose(work_of(elsewhere[1]).read, work_of(shared[1]).read / 8, rel_tol=1e-9)
