"""Kernels as demands on a chip: products side by side, and reads that the second-level cache serves."""

import math
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from estimator.hardware.catalogue import load_profile
from estimator.hardware.events import count_events
from estimator.hardware.roofline import core_cycles, memory_seconds
from estimator.model.work import Kernel, MatrixProduct, Signature, TensorSpec
from estimator.run.demands import demand_of, promotions, side_by_side
from estimator.run.stack import ROW_PASS, efficiency_class, load_stack, terms

H100, B200, STACK = load_profile("h100-sxm"), load_profile("b200-sxm"), load_stack("compiled")
sizes = st.integers(1, 8192)


def spec(*shape):
    return TensorSpec(shape, "bf16")


def product(m, n, k):
    return Signature("aten.mm", (("self", spec(m, k)), ("mat2", spec(k, n))), (spec(m, n),))


def launch(m, widths, k, **settings):
    """Products of one left operand by weights of several widths."""
    reads, writes = (spec(m, k), *(spec(k, n) for n in widths)), tuple(spec(m, n) for n in widths)
    signatures = tuple(product(m, n, k) for n in widths)
    return Kernel("aten.mm", "matmul", "forward", "net", signatures, reads, writes, "bf16", **settings)


def demand(kernel):
    return demand_of(kernel, H100, STACK)


@given(sizes, st.lists(sizes, min_size=2, max_size=4), sizes)
def test_products_side_by_side_are_tiled_as_one_wide_product(m, widths, k):
    merged, wide = demand(launch(m, widths, k)), demand(launch(m, [sum(widths)], k))
    assert replace(merged, macs=0) == replace(wide, macs=0)
    assert merged.macs == wide.macs == m * sum(widths) * k


def test_only_what_shares_its_rows_and_depth_is_side_by_side():
    a, b, c = MatrixProduct(1, 8, 16, 4), MatrixProduct(1, 8, 32, 4), MatrixProduct(1, 8, 32, 5)
    assert side_by_side((a, b, c)) == (replace(a, n=48), c)


def test_small_products_fill_the_chip_better_together():
    # one row block of 64 rows and 1024 columns each: apart, three launches of few tiles
    apart, together = demand(launch(64, [1024], 4096)), demand(launch(64, [1024] * 3, 4096))
    assert together.mac_slots < 3 * apart.mac_slots


@given(sizes, sizes, sizes)
def test_what_is_resident_saves_memory_traffic_and_nothing_else(m, n, k):
    cold = demand(launch(m, [n], k))
    warm = demand(launch(m, [n], k, resident=(spec(m, k),)))
    fits = 2 * m * k <= float(STACK.l2_resident_share) * float(H100.l2.capacity)
    assert warm == replace(cold, memory_bytes=cold.memory_bytes - 2 * m * k * fits)
    assert 0 < warm.memory_bytes <= cold.memory_bytes


def test_what_does_not_fit_is_read_from_memory():
    rows = int(float(H100.l2.capacity))  # times 4 columns of 2 bytes: eight times the cache
    assert demand(launch(rows, [4], 4, resident=(spec(rows, 4),))) == demand(launch(rows, [4], 4))


def test_no_more_is_saved_than_is_read():
    # a window leaves less of a cache to read than was written
    kernel = launch(8, [8], 8, resident=(spec(1000, 8),))
    assert demand(kernel).memory_bytes == demand(launch(8, [8], 8)).memory_bytes - 2 * (8 * 8 + 8 * 8)


def scaled(m, n, k, scale_format="fp32"):
    a, b = TensorSpec((m, k), "fp8_e4m3"), TensorSpec((k, n), "fp8_e4m3")
    scales = (("scale_a", TensorSpec((m, k // 128), scale_format)), ("scale_b", TensorSpec((k // 128, n // 128), scale_format)))
    product = Signature("aten._scaled_mm", (("self", a), ("mat2", b), *scales), (spec(m, n),))
    return Kernel("aten._scaled_mm", "matmul", "forward", "", (product,), format="fp8_e4m3")


@given(*3 * [st.integers(2, 32).map(lambda i: 128 * i)])
def test_wide_scales_cost_lanes_and_powers_of_two_cost_none(m, n, k):
    wide, powers = demand(scaled(m, n, k)), demand(scaled(m, n, k, "uint8"))
    # each of m × n accumulators once for each 128 of k: scale it, and add it to the sum
    assert wide.vector_ops - powers.vector_ops == H100.tensor.promotion_ops * m * n * (k // 128)
    assert wide.mac_slots == powers.mac_slots


def test_scales_by_block_halve_the_tile():
    # 256 × 128 instead of 256 × 256: the left operand passes twice as often
    plain = demand(Kernel("aten.mm", "matmul", "forward", "", (Signature("aten.mm", scaled(8192, 8192, 8192).signatures[0].arguments[:2],
                   (spec(8192, 8192),)),), format="fp8_e4m3"))  # fmt: skip
    assert demand(scaled(8192, 8192, 8192)).l2_bytes - plain.l2_bytes == 32 * 8192 * 8192


def test_narrowing_with_scales_keeps_few_bytes_in_flight():
    wide, narrow = spec(8192, 8192), TensorSpec((8192, 8192), "fp8_e4m3")
    kernel = Kernel("est.narrow", "reduction", "forward", "", (Signature("est.narrow", (("input", wide), ("quantize", 2)), (narrow,)),))
    assert demand(kernel).memory_share == STACK.group_pass_memory_share


def test_an_operation_without_outputs_has_no_scales():
    # an optimizer's step updates in place
    step = Signature("aten._foreach_add_", (("self", (spec(8, 8),)),), ())
    assert promotions(Kernel("step", "optimizer", "optimizer", "", (step,))) == 0


def experts(rows, n, k, scale=()):
    a, b = TensorSpec((8 * rows, k), "fp8_e4m3"), TensorSpec((8, k, n), "fp8_e4m3")
    arguments = (("input", a), ("weight", b), ("picks", 8), *scale)
    return Kernel(
        "est.grouped_mm", "matmul", "forward", "", (Signature("est.grouped_mm", arguments, (spec(8 * rows, n),)),), format="fp8_e4m3"
    )


def test_scales_of_experts_wait_for_their_lanes_and_pad_with_the_tile():
    # 8 experts of 32 rows fill half of their tiles of 64: 2 × 256 × 4224 × (4096 ÷ 128) accumulators and blocks, two operations each
    kernel = experts(32, 4224, 4096, (("scale_a", TensorSpec((256, 32), "fp32")),))
    asked = demand(kernel)
    assert efficiency_class(kernel) == "scaled groups" and efficiency_class(experts(32, 4224, 4096)) == "matmul"
    assert asked.overlap == STACK.serial_softmax_overlap
    assert math.isclose(asked.vector_ops, 2 * 2 * 256 * 4224 * 32, rel_tol=1e-9)


@given(st.integers(64, 4096))
def test_scales_that_the_unit_applies_leave_experts_the_choice_of_tiles(rows):
    narrow, wide = (experts(rows, 4096, 4096, (("scale_a", TensorSpec((8 * rows, 256), kind)),)) for kind in ("fp8_e4m3", "fp32"))
    assert demand_of(narrow, B200, STACK).l2_bytes <= demand_of(wide, B200, STACK).l2_bytes
    assert demand_of(narrow, B200, STACK).vector_ops == 0 < demand_of(wide, B200, STACK).vector_ops


def test_lanes_of_blackwell_wait_longer_for_accumulators_than_they_compute():
    kernel = experts(32, 4224, 4096, (("scale_a", TensorSpec((256, 32), "fp32")),))
    asked, unit = demand_of(kernel, B200, STACK), B200.tensor
    assert math.isclose((asked.vector_ops + asked.vector_waits) / asked.vector_ops, unit.promotion_slots / unit.promotion_ops, rel_tol=1e-9)
    lanes = B200.vector.fma_per_clock["fp32"] * B200.die.multiprocessors * B200.achievable.vector
    assert math.isclose(core_cycles(asked, B200)["vector"], (asked.vector_ops + asked.vector_waits) / lanes, rel_tol=1e-9)
    idle = replace(asked, vector_waits=0.0)
    assert count_events(asked, B200) == count_events(idle, B200)  # waiting switches nothing
    assert demand(kernel).vector_waits == 0


def test_gathered_rows_load_so_many_bytes_in_a_clock_or_what_the_memory_gives():
    H200 = load_profile("h200-sxm")
    for profile in (B200, H200):
        streamed = profile.memory.bandwidth * profile.achievable.memory
        limit = STACK.gathered_load_rate * profile.die.multiprocessors * profile.clock.boost
        share = demand_of(tiled_experts(2), profile, STACK).memory_share
        assert math.isclose(share, min(1, limit / streamed), rel_tol=1e-9)
    assert demand_of(tiled_experts(2), B200, STACK).memory_share < 1 == demand_of(tiled_experts(2), H200, STACK).memory_share
    assert demand_of(experts(32, 4224, 4096), B200, STACK).memory_share == 1  # a library's own choice of tiles


def tiled_experts(rows):
    a, b, out = spec(8 * rows, 4096), spec(8, 4096, 1024), spec(8 * rows, 1024)
    signature = Signature("est.grouped_mm", (("input", a), ("weight", b), ("picks", 8), ("tile_rows", 16)), (out,))
    return Kernel("est.grouped_mm", "matmul", "forward", "", (signature,), (a, b), (out,), "bf16")


def test_rows_that_only_fill_a_tile_of_experts_have_operands_delivered():
    # one row for each of 8 experts in tiles of 16: 15 padded rows beside each
    few = demand(tiled_experts(1))
    assert math.isclose(few.mac_padding, 15 * few.macs, rel_tol=1e-9)
    assert demand(tiled_experts(16)).mac_padding == 0


def test_passes_with_a_block_for_each_row_run_no_faster_on_wider_memory():
    # 7.6 B × 132 multiprocessors × 1.98 GHz = 1.99 TB/s on H100 and 7.6 × 148 × 1.965 GHz = 2.21 TB/s on B200
    rows = spec(65536, 4096)
    kernel = Kernel("act", ROW_PASS, "forward", "", (Signature("aten.mul", (("self", rows),), (rows,)),), (rows,), (rows,), "bf16")
    for name, rate in (("h100-sxm", 1.986e12), ("h200-sxm", 1.986e12), ("b200-sxm", 2.210e12)):
        profile = load_profile(name)
        assert math.isclose(2 * rows.bytes / memory_seconds(demand_of(kernel, profile, STACK), profile), rate, rel_tol=0.01)


def test_a_narrowing_pass_over_experts_rows_is_one_over_groups_in_estimate_and_interval_alike():
    wide, narrow = spec(65536, 4096), TensorSpec((65536, 4096), "fp8_e4m3")
    kernel = Kernel("est.narrow", ROW_PASS, "forward", "", (Signature("est.narrow", (("input", wide), ("quantize", 2)), (narrow,)),))
    assert demand(kernel).memory_share == terms(efficiency_class(kernel), STACK)["memory_share"] == STACK.group_pass_memory_share
