"""Where TensorRT-LLM launches other kernels than a chip's own: attention that it falls back to, and scales that it searches first."""

from estimator.model.work import Kernel, Signature, TensorSpec
from estimator.run.attention import LANES, WARP
from estimator.run.stack import SCALAR_PASS
from estimator.validation.hardware import profile_of
from estimator.validation.rows import Row

FLASH_ROWS = 32  # exact: most query heads for a key head that the generated kernels for decoding take (xqaDispatcher.cpp)
PADDED = 80  # exact: the one head size that is no power of two and that the generated kernels take, padded (fmhaDispatcher.cpp)
GENERATED = "Blackwell (GB100"  # the generated kernels (trtllm-gen) are of this family


def is_tensorrt_llm(row: Row) -> bool:
    """Whether the row's kernels are those of TensorRT-LLM."""
    return row.text("framework").upper().startswith("TRTLLM")


def fallback(row: Row, heads: float, key_heads: float, size: int) -> str:
    """The instructions of the attention kernel that TensorRT-LLM takes where none is generated for the shape; empty where one is.

    Prefill falls back to fmha_v2, whose Blackwell kernels use the warp-wide instructions of Ampere, decoding to masked multi-head
    attention, which uses no tensor units.
    """
    if not is_tensorrt_llm(row) or not profile_of(row).architecture.startswith(GENERATED):
        return ""
    if row.text("task") == "generation_attention":
        return LANES if heads > FLASH_ROWS * key_heads else ""
    return "" if size & (size - 1) == 0 or size == PADDED else WARP


def scale_search(m: float, k: float) -> Kernel:
    """The largest magnitude of a matrix, an element a thread: what scales it to fp8 as a whole."""
    matrix = TensorSpec((m, k), "bf16")
    work = Signature("aten.amax", (("self", matrix),), (TensorSpec((1,), "bf16"),))
    return Kernel("aten.amax", SCALAR_PASS, "forward", "", (work,), format="bf16")
