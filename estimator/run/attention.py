"""Fused attention on the tensor units: tiles of query rows stay on chip, blocks of keys and values stream past them.

Dao, FlashAttention-2 (arXiv:2307.08691), and Shah et al., FlashAttention-3 (arXiv:2407.08608): masks are followed block by
block, so a block that a mask cuts is computed whole.
"""

from dataclasses import dataclass
from math import ceil, log2, prod

from estimator.hardware.roofline import rate
from estimator.hardware.schema import Profile
from estimator.model.work import BYTES, Kernel, Signature, Work
from estimator.run.stack import Stack
from estimator.run.tiling import Tiling

HEAD_STEP = 32  # exact: head sizes are padded to a multiple of it
WARP, LANES = "warp", "lanes"  # "instructions" of an attention kernel: those that Ampere's tensor units had, or none of tensor units
BLOCK = 128  # exact: keys in a block, and query rows in a tile, of FlashAttention-2 and -3


@dataclass(frozen=True, slots=True)
class Blocks:
    """How a launch is cut: tiles of `tile` query rows, computed ÷ visible pairs of queries and keys, instruction ÷ query rows."""

    tile: float
    tiles: float
    computed: float
    rows: float


WHOLE = Blocks(1.0, 1.0, 1.0, 1.0)


def attention_blocks(kernel: Kernel, work: Work, profile: Profile) -> Blocks:
    """The blocks of an attention kernel.

    The rows of all query heads that share a key head are packed where one head's would not fill a tile, then padded to an
    instruction.
    """
    signature = kernel.signatures[0]
    query, key = signature.get("query"), signature.get("key")
    if query is None or key is None:
        return WHOLE
    instruction = float(profile.tensor.instruction_rows) if profile.tensor else 1.0
    tile = float(profile.tensor.attention_rows or BLOCK) / (1 if in_pairs(kernel, profile) else 2) if profile.tensor else BLOCK
    heads, queries, keys = prod(query.shape[:-2]), query.shape[-2], key.shape[-2]
    group = heads / prod(key.shape[:-2]) if queries < tile else 1.0
    visible = work.products[0].executed * keys
    padded = ceil(queries * group / instruction) * instruction / (queries * group)
    return Blocks(tile, heads / group * ceil(queries * group / tile), _computed(signature, queries, keys, visible, tile) / visible, padded)


def in_pairs(kernel: Kernel, profile: Profile) -> bool:
    """Whether one tile multiplies while another is in its softmax: accumulators of both, scores and outputs, are held at the same time."""
    columns, value = profile.tensor.accumulator_columns if profile.tensor else None, kernel.signatures[0].get("value")
    return columns is None or value is None or 2 * (BLOCK + value.shape[-1]) <= columns


def _computed(signature: Signature, queries: float, keys: float, visible: float, tile: float) -> float:
    """Keys that a query's tile computes with on average: each edge of the mask cuts half a tile or block away."""
    causal, window = bool(signature.get("causal", signature.get("is_causal", False))), signature.get("window")
    edges = (causal and queries > 1) + (window is not None and window < keys)
    return min(visible + edges * max(min(queries, tile), float(BLOCK)) / 2, max(ceil(keys / BLOCK) * BLOCK, visible))


def attention_tiling(kernel: Kernel, work: Work, width: float, profile: Profile) -> Tiling:
    """Slots, bytes and rounds of one launch; operands of `width` bytes.

    Keys and values pass once for each tile. With fewer tiles than multiprocessors, decoding splits the keys.
    """
    blocks = attention_blocks(kernel, work, profile)
    moved = work.read + work.write
    pairs = blocks.computed * sum(p.batch * p.executed * p.m * p.n * p.k for p in work.products)
    # a tile waits for its first operands, and again from the first scores through their softmax to the last product
    rounds = 2 * max(1.0, blocks.tiles / profile.die.multiprocessors)
    slots = pairs * blocks.rows * head_padding(kernel)
    return Tiling(slots, max(moved, width * pairs / blocks.tile), moved, rounds)


def instructions_of(kernel: Kernel) -> str:
    """`WARP` or `LANES` for a kernel that an engine falls back to; empty for the one that is written for the chip."""
    return str(kernel.signatures[0].get("instructions", ""))


def softmax_extra(kernel: Kernel) -> float:
    """Lane operations for each score of a fused kernel beside the softmax itself: the probability is narrowed to the format of the values,
    and for each block of keys the outputs so far are scaled by the change of the maximum (FlashAttention-2, algorithm 1)."""
    value = kernel.signatures[0].get("value")
    return 0.0 if value is None else 1.0 + value.shape[-1] / BLOCK


def lanes_l2_bytes(kernel: Kernel, work: Work) -> float:
    """Bytes from L2 of attention on the vector lanes: a block of threads for each query head, so all of them read its keys and values."""
    signature = kernel.signatures[0]
    key, value = signature["key"], signature["value"]
    group = prod(signature["query"].shape[:-2]) / prod(key.shape[:-2])
    return float(work.read + work.write + (group - 1) * (key.bytes + value.bytes))


def head_padding(kernel: Kernel) -> float:
    """Head size that runs ÷ head size."""
    query = kernel.signatures[0].get("query")
    if query is None:
        return 1.0
    size = query.shape[-1]
    if instructions_of(kernel) == WARP:  # TensorRT-LLM's fmha_v2, kernel_traits.h: the next power of two
        return 2 ** ceil(log2(size)) / size
    return ceil(size / HEAD_STEP) * HEAD_STEP / size


def transposed_bytes(kernel: Kernel, work: Work, profile: Profile) -> float:
    """Bytes of 8-bit values turned in shared memory before the second product, where the instruction wants them so: once for each tile."""
    if not profile.tensor or profile.tensor.transpose_rate is None or BYTES[kernel.format] > 1 or len(work.products) < 2:
        return 0.0
    blocks, values = attention_blocks(kernel, work, profile), work.products[1]
    passed = blocks.computed * values.batch * values.executed * values.m * values.n * values.k / blocks.tile
    return max(passed, kernel.signatures[0]["value"].bytes * values.executed)


def slots_for_each(kernel: Kernel, profile: Profile, number_format: str, stack: Stack) -> float:
    """Slots of the tensor units for each one that an attention kernel fills, where its instructions are an older generation's."""
    older = stack.warp_attention_fma_per_clock if instructions_of(kernel) == WARP else stack.attention_fma_per_clock
    return 1.0 if older is None else max(1.0, rate(profile, "tensor", number_format) / older)
