"""Passes of a vLLM module that is called outside the compiler: norms and rotations as PyTorch's own kernels, one for each operation.

By default vLLM leaves its fused kernels to the compiler (`custom_ops` is "none" where it compiles), so that a module built under a
default configuration and called as it is runs `forward_native` of RMSNorm and of the rotary embedding.
"""

from estimator.model.work import Kernel, Signature, TensorSpec
from estimator.run.stack import ROW_PASS
from estimator.validation.rows import Row


def is_native(row: Row) -> bool:
    """Whether a row is a module of vLLM, which is called outside its compiler."""
    return row.text("task").endswith("_module") and row.text("framework").upper().startswith("VLLM")


def norm(tokens: float, size: float) -> tuple[Kernel, ...]:
    """Root-mean-square norm of a part of a wider row: widened to fp32, squared, averaged, scaled, narrowed, weighed."""
    narrow, wide = TensorSpec((tokens, size), "bf16"), TensorSpec((tokens, size), "fp32")
    mean, weight = TensorSpec((tokens, 1), "fp32"), TensorSpec((size,), "bf16")
    return (
        step("widen", "copy", (narrow,), wide),
        step("square", "pointwise", (wide,), wide),
        step("average", "reduction", (wide,), mean),
        step("scale", "pointwise", (wide, mean), wide),
        step("narrow", "pointwise", (wide,), narrow),
        step("weigh", "pointwise", (narrow, weight), narrow),
    )


def rotation(tokens: float, heads: float, size: int) -> tuple[Kernel, ...]:
    """The last `size` elements of each head turned in pairs: half of them negated, interleaved, scaled, added, put back."""
    half, whole = TensorSpec((tokens, heads, size / 2), "bf16"), TensorSpec((tokens, heads, size), "bf16")
    angle = TensorSpec((tokens, 1, size), "bf16")
    return (
        step("negate", "copy", (half,), half),
        step("interleave", "copy", (whole,), whole),
        step("by cosines", "pointwise", (whole, angle), whole),
        step("by sines", "pointwise", (whole, angle), whole),
        step("add", "pointwise", (whole, whole), whole),
        step("put back", "copy", (whole,), whole),
    )


def step(name: str, kind: str, reads: tuple[TensorSpec, ...], written: TensorSpec) -> Kernel:
    """One operation: a multiplication for each element; what is copied, or of several shapes, is laid out otherwise than its result."""
    names = ("self", "other")
    work = Signature("aten.mean" if kind == "reduction" else "aten.mul", tuple(zip(names, reads)), (written,))
    return Kernel(name, kind, "forward", "", (work,), reads, (written,), "bf16")


def cached(tokens: float, size: float, held: str) -> Kernel:
    """Rows of the cache written, a block of threads for each (`concat_and_cache_mla`)."""
    row = TensorSpec((tokens, size), "bf16")
    return step("cache", ROW_PASS, (row,), TensorSpec((tokens, size), held))
