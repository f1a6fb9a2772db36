"""Single kernels as PyTorch calls: matrix products, streams, norms, attention, multiply-adds.

Nothing is allocated inside a call, but for results that torch makes itself: its allocator reuses them.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch.nn import functional

from estimator.errors import InvalidSetting
from estimator.validation.rows import Row

Call = Callable[[], Any]
TYPES = {
    "bf16": torch.bfloat16, "bfloat16": torch.bfloat16, "fp16": torch.float16, "float16": torch.float16, "fp32": torch.float32,
    "tf32": torch.float32, "fp8": torch.float8_e4m3fn,
}  # fmt: skip
CHAIN = """
template <typename T> T chain(T x) {
    const T scale = SCALE;
    T a = x, b = x + scale, c = x - scale, d = x * scale;
    for (int step = 0; step < STEPS; step += 4) {
        a = fma(a, scale, x); b = fma(b, scale, x); c = fma(c, scale, x); d = fma(d, scale, x);
    }
    return (a + b) + (c + d);
}
"""  # four chains side by side, because a multiply-add takes four cycles
SCALE = 0.5  # exact: keeps the chain's values finite, whatever it starts from


def operands(row: Row, device: torch.device, *shape: int, dtype: torch.dtype | None = None) -> torch.Tensor:
    """Normally distributed numbers, or zeros, as the row's `operands` says."""
    kind, wanted = row.text("operands", "random"), dtype or TYPES[row.text("precision")]
    if kind not in ("random", "zeros"):
        raise InvalidSetting(f"operands={kind!r}: expected random or zeros")
    made = torch.randn(*shape, device=device) if kind == "random" else torch.zeros(*shape, device=device)
    return made.to(wanted)


def matmul(row: Row, device: torch.device) -> Call:
    """C = A B; fp32 in fp32, tf32 as the library's fast mode, fp8 with one scale for each operand and a bf16 result."""
    m, n, k, precision = row.whole("m"), row.whole("n"), row.whole("k"), row.text("precision")
    a = operands(row, device, m, k)
    if precision == "fp8":
        b = operands(row, device, n, k).t()  # the library wants the second operand column by column
        one = torch.ones((), device=device)
        return partial(torch._scaled_mm, a, b, scale_a=one, scale_b=one, out_dtype=torch.bfloat16, use_fast_accum=True)
    b, out = operands(row, device, k, n), torch.empty(m, n, device=device, dtype=a.dtype)

    def call() -> None:
        torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
        torch.mm(a, b, out=out)

    return call


def memory_read(row: Row, device: torch.device) -> Call:
    """The sum of an array: reads it once."""
    source, out = operands(row, device, row.whole("size")), torch.empty((), device=device)
    return partial(torch.sum, source, dim=0, out=out)


def memory_write(row: Row, device: torch.device) -> Call:
    """An array filled with zeros: random numbers would have to be made or read, which is more than writing."""
    return operands(row, device, row.whole("size")).zero_


def copy(row: Row, device: torch.device) -> Call:
    """One array into another: `size` decides whether memory or the last-level cache holds them."""
    source = operands(row, device, row.whole("size"))
    return partial(torch.empty_like(source).copy_, source)


def vector_fma(row: Row, device: torch.device) -> Call:
    """`fma_per_element` dependent multiply-adds on every element of an array."""
    source, steps = operands(row, device, row.whole("size")), row.whole("fma_per_element")
    if device.type == "cuda":
        code = CHAIN.replace("SCALE", str(SCALE)).replace("STEPS", str(steps))
        return partial(torch.cuda.jiterator._create_jit_fn(code), source)

    def slowly() -> None:
        value = source
        for _ in range(steps):
            value = torch.addcmul(source, value, source, value=SCALE)

    return slowly


def softmax(row: Row, device: torch.device) -> Call:
    """Along rows of n."""
    x = operands(row, device, row.whole("m"), row.whole("n"))
    return partial(torch.softmax, x, dim=-1)


def layer_norm(row: Row, device: torch.device) -> Call:
    """Along rows of n, with scale and shift."""
    x = operands(row, device, row.whole("m"), row.whole("n"))
    width = x.shape[-1:]
    scale, shift = operands(row, device, *width), operands(row, device, *width)
    return partial(functional.layer_norm, x, width, scale, shift)


def rms_norm(row: Row, device: torch.device) -> Call:
    """Along rows of n, with a scale."""
    x = operands(row, device, row.whole("m"), row.whole("n"))
    return partial(functional.rms_norm, x, x.shape[-1:], operands(row, device, x.shape[-1]))


def attention(row: Row, device: torch.device) -> Call:
    """Fused attention: causal over a prompt, or one new token on `context_len` cached ones."""
    batch, heads, size = row.whole("batch_size"), row.whole("num_heads"), row.whole("head_dim")
    decodes = row.text("task") == "generation_attention"
    new, held = (1, row.whole("context_len")) if decodes else (row.whole("input_len"),) * 2
    query = operands(row, device, batch, heads, new, size)
    key, value = (operands(row, device, batch, row.whole("num_kv_heads"), held, size) for _ in "kv")
    return partial(functional.scaled_dot_product_attention, query, key, value, is_causal=not decodes, enable_gqa=True)


BUILDERS = {
    "matmul": matmul,
    "memory_read": memory_read,
    "memory_write": memory_write,
    "memory_copy": copy,
    "l2_copy": copy,
    "vector_fma": vector_fma,
    "softmax": softmax,
    "layer_norm": layer_norm,
    "rms_norm": rms_norm,
    "context_attention": attention,
    "generation_attention": attention,
}
