"""Fused attention on the tensor units: query rows are packed into matrix instructions, keys and values stream past them."""

from math import ceil, prod

from estimator.hardware.roofline import rate
from estimator.hardware.schema import Profile
from estimator.model.work import Kernel, MatrixProduct, Work
from estimator.run.stack import Stack

HEAD_STEP = 32  # exact: heads of 32, 64, 96 … are what PyTorch compiles FlashAttention-2 for


def attention_slots(kernel: Kernel, work: Work, profile: Profile) -> float:
    """Multiply-add slots occupied: the rows of all query heads that share a key head are packed, then padded to an instruction."""
    rows = float(profile.tensor.instruction_rows) if profile.tensor else 1.0
    group = _heads_per_key_head(kernel)
    return sum(p.batch / group * ceil(p.m * group / rows) * rows * p.n * p.k * p.executed for p in work.products)


def slots_for_each(kernel: Kernel, profile: Profile, number_format: str, stack: Stack) -> float:
    """Slots of the tensor units for each one that the stack's attention kernel fills.

    Its instructions may be those of an older generation, which fill fewer, and it is compiled for heads of a few sizes only.
    """
    if stack.attention_fma_per_clock is None:
        return 1.0
    width = kernel.signatures[0]["query"].shape[-1]
    padded = ceil(width / HEAD_STEP) * HEAD_STEP
    return max(1.0, rate(profile, "tensor", number_format) / stack.attention_fma_per_clock) * padded / width


def _heads_per_key_head(kernel: Kernel) -> float:
    """Query heads for each key head (1 without grouped queries)."""
    signature = kernel.signatures[0]
    query, key = signature.get("query"), signature.get("key")
    return prod(query.shape[:-2]) / prod(key.shape[:-2]) if query is not None and key is not None else 1.0


def attention_l2_bytes(products: tuple[MatrixProduct, ...], width: float, profile: Profile) -> float:
    """Bytes from L2: a tile of query rows stays on chip, so keys and values stream past once per tile (Dao, arXiv:2307.08691)."""
    tile = float(profile.tensor.tile_m) if profile.tensor else 1.0
    return width * sum(p.batch * p.executed * (p.m / tile) * p.n * p.k for p in products)
