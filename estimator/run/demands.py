"""Joins the two sides of the house: a kernel of the model becomes a demand on the chip."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from estimator.hardware.demand import Demand
from estimator.hardware.roofline import rate
from estimator.hardware.schema import Profile
from estimator.model.rules import work_of
from estimator.model.transform.routing import GROUPED
from estimator.model.work import BYTES, Kernel, MatrixProduct, Signature, TensorSpec, Work
from estimator.run.attention import (
    LANES,
    WARP,
    WHOLE,
    attention_blocks,
    attention_tiling,
    head_padding,
    in_pairs,
    instructions_of,
    lanes_l2_bytes,
    slots_for_each,
    softmax_extra,
    transposed_bytes,
)
from estimator.run.convolution import depthwise_l2_bytes, filling, is_depthwise
from estimator.run.elementwise import addressing_ops, read_again
from estimator.run.formats import lane_format, matrix_unit
from estimator.run.recurrence import serial_rounds
from estimator.run.stack import RATES, Stack, efficiency_class, matrix_format, streamed_share, terms
from estimator.run.tiling import Tiling, best_tiling, grouped_tiling, operand_bytes, together

SCALED_ROWS = 64  # exact: rows of the tile that vLLM's fused experts with block scales take beyond 64 tokens


def demand_of(kernel: Kernel, profile: Profile, stack: Stack, known: Work | None = None) -> Demand:
    """What one launch of `kernel` asks of the chip under a software stack; `known` is its work where the caller has it already."""
    work = work_of(kernel) if known is None else known
    if is_depthwise(kernel):
        return _depthwise(kernel, work, profile, stack)
    if kernel.kind == "attention" and instructions_of(kernel) == LANES:
        return _lane_attention(kernel, work, profile, stack)
    unit, number_format = matrix_unit(matrix_format(kernel, stack), profile)
    tiling = _matrix_traffic(kernel, work, unit, number_format, profile)
    serial = serial_rounds(kernel, profile)
    if serial is not None:
        tiling = replace(tiling, rounds=serial)
    if kernel.kind == "convolution":
        tiling = replace(tiling, slots=tiling.slots * filling(work.products, stack))
    each, slots = (profile.tensor.promotion_ops, profile.tensor.promotion_slots) if profile.tensor else (None, None)
    promoted = promotions(kernel) * each if each else 0.0
    if promoted and kernel.signatures[0].op in GROUPED:
        promoted *= max(1.0, tiling.slots / (work.tensor_flop / 2))  # rows that only fill a tile are scaled too
    # a fused kernel takes the softmax of all rows of its instruction, those that only fill it included, and of masked parts of blocks
    fused = kernel.kind == "attention" and bool(work.products)
    blocks = attention_blocks(kernel, work, profile) if fused else WHOLE
    macs, scores = work.tensor_flop / 2 * blocks.computed, blocks.computed * blocks.rows
    wider, extra = (head_padding(kernel), softmax_extra(kernel)) if fused else (1.0, 0.0)
    placing = addressing_ops(kernel, stack)
    return Demand(
        macs=macs,
        mac_slots=tiling.slots * (slots_for_each(kernel, profile, number_format, stack) if fused and unit == "tensor" else 1.0),
        mac_padding=max(macs * (blocks.rows * wider - 1), tiling.filled - macs),
        mac_format=number_format,
        unit=unit,
        vector_ops=(work.vector_flop + work.special_flop * extra) * scores + promoted + placing,
        vector_waits=promoted * (slots / each - 1) if each and slots else 0.0,
        special_ops=work.special_flop * scores,
        integer_ops=placing,
        vector_format=lane_format(kernel.format),
        transposed_bytes=transposed_bytes(kernel, work, profile) if fused else 0.0,
        l2_bytes=tiling.l2_bytes,
        rounds=tiling.rounds,
        memory_bytes=tiling.memory_bytes - resident_bytes(kernel, work, profile, stack) + read_again(kernel, stack),
        **_terms(kernel, profile, stack),
    )


def _terms(kernel: Kernel, profile: Profile, stack: Stack) -> dict[str, Any]:
    kind = efficiency_class(kernel)
    found = terms(kind, stack)
    if kernel.kind == "attention" and (instructions_of(kernel) == WARP or not in_pairs(kernel, profile)):
        found["overlap"] = min(stack.softmax_overlap, stack.serial_softmax_overlap)
    limit = found["memory_share"] if kind in RATES else gathered_rate(kernel, stack)
    return found if limit is None else found | {"memory_share": streamed_share(limit, profile)}


def gathered_rate(kernel: Kernel, stack: Stack) -> Any:
    """Bytes that one multiprocessor loads in a clock in a product of experts compiled for one tile; None for other kernels."""
    first = kernel.signatures[0]
    rows = first.get("tile_rows") if first.op in GROUPED else None
    if rows is None:
        return None
    return stack.scaled_load_rate if _blocks(first.get("scale_a")) and rows >= SCALED_ROWS else stack.gathered_load_rate


def promotions(kernel: Kernel) -> float:
    """Accumulators × blocks of k whose scales are wide floats, which matrix units do not apply."""
    return sum(s.outputs[0].elements * s["scale_a"].shape[-1] for s in kernel.signatures if _is_promoted(s))


def _is_promoted(signature: Signature) -> bool:
    """Whether scales by blocks are wide floats, which the matrix units do not apply: lanes do, between matrix instructions."""
    scale = signature.get("scale_a")
    return _blocks(scale) and scale.format == "fp32"


def _blocks(scale: TensorSpec | None) -> bool:
    """Whether scales change along k."""
    return scale is not None and len(scale.shape) == 2 and scale.shape[-1] > 1


def _depthwise(kernel: Kernel, work: Work, profile: Profile, stack: Stack) -> Demand:
    """A direct kernel on the vector lanes: its multiply-adds and the addressing around them, operands through L2."""
    return Demand(
        vector_ops=work.vector_flop + work.tensor_flop / 2 * (1 + stack.depthwise_ops_per_mac),
        vector_format=lane_format(kernel.format),
        l2_bytes=depthwise_l2_bytes(kernel, work),
        memory_bytes=work.read + work.write - resident_bytes(kernel, work, profile, stack),
        **terms(efficiency_class(kernel), stack),
    )


def _lane_attention(kernel: Kernel, work: Work, profile: Profile, stack: Stack) -> Demand:
    """Attention on the vector lanes, which wait for loads and for sums over threads around each multiply-add."""
    macs = work.tensor_flop / 2
    unit_format = lane_format(kernel.format)
    return Demand(
        macs=macs,
        mac_slots=macs * (stack.lane_attention_slots or 1.0),
        mac_format=unit_format,
        unit="vector",
        vector_ops=work.vector_flop,
        special_ops=work.special_flop,
        vector_format=unit_format,
        l2_bytes=lanes_l2_bytes(kernel, work),
        memory_bytes=work.read + work.write,
        **terms(efficiency_class(kernel), stack),
    )


def resident_bytes(kernel: Kernel, work: Work, profile: Profile, stack: Stack) -> float:
    """Bytes that the launch before left in L2, so that memory is not read for them; none of them where they do not fit together."""
    if not kernel.resident:
        return 0.0
    left = min(sum(spec.bytes for spec in kernel.resident), work.read)
    return left if left <= stack.l2_resident_share * profile.l2.capacity else 0.0


def side_by_side(products: Sequence[MatrixProduct]) -> tuple[MatrixProduct, ...]:
    """Products of one launch that share batch, m and k as one: their right operands lie next to each other, so n adds up."""
    if len(products) == 1:
        return tuple(products)
    merged: dict[MatrixProduct, float] = {}
    for product in products:
        shape = replace(product, n=0)
        merged[shape] = merged.get(shape, 0) + product.n
    return tuple(replace(shape, n=n) for shape, n in merged.items())


def _matrix_traffic(kernel: Kernel, work: Work, unit: str, number_format: str, profile: Profile) -> Tiling:
    """Slots, bytes and rounds of tiles of one launch; what is not a matrix product moves each byte once."""
    moved = work.read + work.write
    if not work.products:
        return Tiling(0.0, moved, moved)
    width = BYTES[kernel.format]
    if kernel.kind == "attention":
        return attention_tiling(kernel, work, width, profile)
    speed = rate(profile, unit, number_format) * profile.die.multiprocessors
    scaled = _blocks(kernel.signatures[0].get("scale_a"))
    products = side_by_side(work.products) if len(kernel.signatures) > 1 else work.products
    if kernel.signatures[0].op in GROUPED:
        scaled = _is_promoted(kernel.signatures[0])
        ragged, tile = kernel.signatures[0].get("zipf") is not None, kernel.signatures[0].get("tile_rows")
        cut = grouped_tiling(products, width, profile, speed, ragged, scaled, tile)
    else:
        cut = together([best_tiling(product, width, profile, speed, scaled) for product in products])
    reread = max(cut.memory_bytes - sum(sum(operand_bytes(p, width)) for p in products), 0.0)
    return Tiling(cut.slots, max(moved, cut.l2_bytes), moved + reread, cut.rounds, cut.filled)
