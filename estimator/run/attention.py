"""Fused attention on the tensor units: tiles of query rows stay on chip, blocks of keys and values stream past them.

Dao, FlashAttention-2 (arXiv:2307.08691), and Shah et al., FlashAttention-3 (arXiv:2407.08608): masks are followed block by
block, so a block that a mask cuts is computed whole.
"""

from dataclasses import dataclass
from math import ceil, prod

from estimator.hardware.schema import Profile
from estimator.model.work import BYTES, Kernel, Signature, Work
from estimator.run.tiling import Tiling

HEAD_STEP = 32  # exact: head sizes are padded to a multiple of it
BLOCK = 128  # exact: keys in a block, and the least query rows in a tile, of FlashAttention-2 and -3


@dataclass(frozen=True, slots=True)
class Blocks:
    """How a launch is cut: query rows of a tile, tiles, and computed ÷ visible pairs of queries and keys."""

    tile: float
    tiles: float
    computed: float


def attention_blocks(kernel: Kernel, work: Work, profile: Profile) -> Blocks:
    """The blocks of an attention kernel. Two instructions' worth of rows make a tile, so that one's softmax hides behind the other."""
    signature = kernel.signatures[0]
    query, key = signature.get("query"), signature.get("key")
    rows = float(profile.tensor.instruction_rows) if profile.tensor else 1.0
    tile = max(BLOCK, 2 * rows)
    if query is None or key is None:
        return Blocks(tile, 1.0, 1.0)
    heads, queries, keys = prod(query.shape[:-2]), query.shape[-2], key.shape[-2]
    group = heads / prod(key.shape[:-2]) if queries < tile else 1.0
    tiles = heads / group * ceil(queries * group / tile)
    visible = work.products[0].executed * keys
    return Blocks(tile, tiles, _visited(signature, queries, keys, visible, tile) / visible)


def _visited(signature: Signature, queries: float, keys: float, visible: float, tile: float) -> float:
    """Keys that a query's tile computes with on average: each edge of the mask cuts half a tile or block away."""
    causal, window = bool(signature.get("causal", signature.get("is_causal", False))), signature.get("window")
    edges = (causal and queries > 1) + (window is not None and window < keys)
    return min(visible + edges * max(min(queries, tile), BLOCK) / 2, max(ceil(keys / BLOCK) * BLOCK, visible))


def attention_tiling(kernel: Kernel, work: Work, width: float, profile: Profile) -> Tiling:
    """Slots, bytes and rounds of one launch; operands of `width` bytes.

    The rows of all query heads that share a key head are packed where one head's would not fill a tile, then padded to an
    instruction. Keys and values pass once for each tile. With fewer tiles than multiprocessors, decoding splits the keys.
    """
    blocks = attention_blocks(kernel, work, profile)
    moved = work.read + work.write
    streamed = width * sum(p.batch * p.executed * (p.m / blocks.tile) * p.n * p.k for p in work.products) * blocks.computed
    # a tile waits for its first operands, and again from the first scores through their softmax to the last product
    rounds = 2 * max(1.0, blocks.tiles / profile.die.multiprocessors)
    return Tiling(attention_slots(kernel, work, profile) * blocks.computed, max(moved, streamed), moved, rounds)


def attention_slots(kernel: Kernel, work: Work, profile: Profile) -> float:
    """Multiply-add slots occupied by what the mask leaves: packed rows, padded to an instruction."""
    rows = float(profile.tensor.instruction_rows) if profile.tensor else 1.0
    group = _heads_per_key_head(kernel)
    size = kernel.signatures[0].get("query").shape[-1] if kernel.signatures[0].get("query") is not None else 1
    padding = ceil(size / HEAD_STEP) * HEAD_STEP / size
    pairs = sum(p.batch / group * ceil(p.m * group / rows) * rows * p.n * p.k * p.executed for p in work.products)
    narrow = profile.tensor.narrow_attention if profile.tensor and BYTES[kernel.format] == 1 else None
    return pairs * padding / (1 if narrow is None else narrow)


def _heads_per_key_head(kernel: Kernel) -> float:
    """Query heads for each key head (1 without grouped queries)."""
    signature = kernel.signatures[0]
    query, key = signature.get("query"), signature.get("key")
    return prod(query.shape[:-2]) / prod(key.shape[:-2]) if query is not None and key is not None else 1.0
