"""Kernels of published benchmarks stated as signatures."""

import math

from estimator.model.rules import work_of
from estimator.validation.latent import latent_module
from estimator.validation.protocol import stated
from estimator.validation.rows import Row
from estimator.validation.signatures import grouped, mixture, precision_of


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


def test_benchmarks_of_latent_attention_run_on_what_their_code_says():
    def operands(task, framework):
        return stated(Row("x.csv", 2, {"source": "aiconfigurator", "task": task, "framework": framework})).text("operands", "random")

    assert operands("mla_context_module", "VLLM 0.22.0") == "ones"
    assert operands("mla_generation_module", "TRTLLM 1.3.0rc15") == operands("generation_mla", "TRTLLM 1.3.0rc15") == "zeros"
    assert operands("mla_context_module", "TRTLLM 1.3.0rc15") == operands("gemm", "VLLM 0.22.0") == "random"


def test_block_scales_are_powers_of_two_where_the_units_apply_them():
    columns = {"precision": "fp8_block", "power_limit_w": "", "kernel_source": "vllm_default"}
    assert precision_of(Row("x.csv", 2, columns | {"hardware": "NVIDIA H200"})) == "fp8_block"
    assert precision_of(Row("x.csv", 2, columns | {"hardware": "NVIDIA B200"})) == "fp8_block_e8m0"
    assert precision_of(Row("x.csv", 2, columns | {"hardware": "NVIDIA B200", "kernel_source": "vllm_fused_moe"})) == "fp8_block"


def test_keys_of_latent_attention_are_copied_in_two_steps_where_the_engine_does_so():
    # 2 sequences of 1024 tokens, 16 heads: parts of 128 read and written, 64 rotary elements of each token spread over the heads
    columns = {"task": "mla_context_module", "precision": "bfloat16/kv bfloat16", "batch_size": "2", "input_len": "1024", "num_heads": "16"}
    passes = {kernel.name: work_of(kernel) for kernel in latent_module(Row("x.csv", 2, columns | {"framework": "VLLM 0.22.0"}))}
    assert math.isclose(passes["keys"].read + passes["keys"].write, 2 * 2048 * 16 * 128 * 2, rel_tol=1e-9)
    assert math.isclose(passes["rotary keys"].write, 2048 * 16 * 64 * 2, rel_tol=1e-9)
    other = [kernel.name for kernel in latent_module(Row("x.csv", 2, columns | {"framework": "TRTLLM 1.3"}))]
    assert "assemble" in other and "keys" not in other
