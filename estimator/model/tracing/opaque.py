"""Operations that stay whole in a trace: attention, products of ragged groups, cache appends, optimizer steps.

On meta tensors torch would take attention apart into products of full score matrices, and refuse grouped products in fp32.
Which kernel runs such an operation is a property of the hardware and its software, so it is decided there, not here.
"""

from typing import Any

import torch

LIBRARY = torch.library.Library("est", "DEF")
LIBRARY.define(
    "attention(Tensor query, Tensor key, Tensor value, Tensor? mask, "
    "float dropout, bool causal, float? scale, int? window) -> (Tensor, Tensor)"
)
LIBRARY.define(
    "attention_backward(Tensor grad, Tensor query, Tensor key, Tensor value, Tensor out, Tensor logsumexp, Tensor? mask, "
    "float dropout, bool causal, float? scale, int? window, bool[4] need) -> (Tensor, Tensor, Tensor, Tensor)"
)
LIBRARY.define("grouped_mm(Tensor input, Tensor weight, Tensor offsets) -> Tensor")
LIBRARY.define("kv_append(Tensor cache, Tensor new) -> Tensor")
LIBRARY.define("state_step(Tensor state, Tensor query, Tensor key, Tensor value) -> Tensor")


@torch.library.impl(LIBRARY, "attention", "Meta")
def _attention(query, key, value, mask, dropout, causal, scale, window):
    batch, heads, rows, width = query.shape
    keys = key.shape[2]
    torch._check(key.shape[3] == width, lambda: f"head_dim of query and key differ: {_shapes(query, key, value)}")
    torch._check(value.shape[2] == keys, lambda: f"key and value differ in rows: {_shapes(query, key, value)}")
    torch._check(heads % key.shape[1] == 0, lambda: f"query heads are no multiple of key heads: {_shapes(query, key, value)}")
    fits = mask is None or (mask.shape[3] in (1, keys) and mask.shape[2] in (1, rows))
    torch._check(fits, lambda: f"mask {tuple(mask.shape)} does not fit scores of {rows} x {keys}")
    # fused kernels write (batch, rows, heads, head_dim), so that joining the heads afterwards is a view
    out = query.new_empty(batch, rows, heads, value.shape[-1]).transpose(1, 2)
    return out, query.new_empty(batch, heads, rows, dtype=torch.float32)


@torch.library.impl(LIBRARY, "attention_backward", "Meta")
def _attention_backward(grad, query, key, value, out, logsumexp, mask, dropout, causal, scale, window, need):
    targets = (query, key, value, mask)
    return tuple(torch.empty_like(target) if needed else query.new_empty(0) for target, needed in zip(targets, need, strict=True))


@torch.library.impl(LIBRARY, "grouped_mm", "Meta")
def _grouped_mm(input, weight, offsets):
    if input.dim() == 2 and weight.dim() == 3:  # ragged rows: every expert multiplies its own tokens
        return input.new_empty(input.shape[0], weight.shape[2])
    if input.dim() == 2:  # ragged inner dimension: the gradient of every expert's weight
        return input.new_empty(offsets.shape[0], input.shape[0], weight.shape[1])
    return input.new_empty(input.shape[1], weight.shape[1])  # ragged columns


@torch.library.impl(LIBRARY, "kv_append", "Meta")
def _kv_append(cache, new):
    return cache.new_empty(*cache.shape[:-2], cache.shape[-2] + new.shape[-2], cache.shape[-1])


@torch.library.impl(LIBRARY, "state_step", "Meta")
def _state_step(state, query, key, value):
    return torch.empty_like(value)


def _shapes(*tensors):
    return " and ".join(str(tuple(tensor.shape)) for tensor in tensors)


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query, key, value, mask, *settings) -> torch.Tensor:
        out, logsumexp = torch.ops.est.attention(query, key, value, mask, *settings)
        ctx.save_for_backward(query, key, value, mask, out, logsumexp)
        ctx.settings = settings
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad) -> tuple:
        query, key, value, mask, out, logsumexp = ctx.saved_tensors
        need = list(ctx.needs_input_grad[:4])
        grads = torch.ops.est.attention_backward(grad, query, key, value, out, logsumexp, mask, *ctx.settings, need)
        return *(g if needed else None for g, needed in zip(grads, need, strict=True)), None, None, None, None


def attention(query, key, value, mask=None, dropout=0.0, causal=False, scale=None, window=None) -> torch.Tensor:
    """Fused attention on meta tensors of shape (batch, heads, rows, head_dim) as one operation, forward and backward.

    Keys and values may have fewer heads than queries (grouped queries). A causal query of S rows against T keys is aligned to
    the end: row i sees keys up to T - S + i. `window` limits each row to that many latest keys.
    """
    return _Attention.apply(query, key, value, mask, float(dropout), bool(causal), scale, window)


def kv_append(cache, new) -> torch.Tensor:
    """Write `new` (…, rows, head_dim) behind `cache` (…, past, head_dim) in place; returns the grown cache. Inference only."""
    return torch.ops.est.kv_append(cache, new)


def state_step(state, query, key, value) -> torch.Tensor:
    """Let the states (batch, heads, K, V) of a linear recurrence decay, take up one token and be read; returns (batch, heads, 1, V).

    The states change in place; heads may share queries and keys. Inference only.
    """
    return torch.ops.est.state_step(state, query, key, value)


def scaled_dot_product_attention(
    note, query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False
) -> torch.Tensor:
    """Torch's function of that name, for any number of leading dimensions, as one `attention`; `note` takes remarks."""
    lead = torch.broadcast_shapes(query.shape[:-3], key.shape[:-3]) + query.shape[-3:-2]
    query, key, value = (_four_dimensional(tensor) for tensor in (query, key, value))
    batch = max(query.shape[0], key.shape[0])
    query, key, value = (tensor if tensor.shape[0] == batch else tensor.expand(batch, -1, -1, -1) for tensor in (query, key, value))
    mask = None if attn_mask is None else _four_dimensional(attn_mask)
    square = query.shape[-2] == key.shape[-2]
    if is_causal and not square:  # torch aligns this mask to the first key, which is no use to anyone; kernels differ on it
        note(f"causal mask of {query.shape[-2]} rows against {key.shape[-2]} keys is aligned to the first key: counted dense")
    out = attention(query, key, value, mask, dropout_p, is_causal and square, scale)
    return out.reshape(*lead, *out.shape[-2:])


def _four_dimensional(tensor: torch.Tensor) -> torch.Tensor:
    if tensor.dim() > 4:
        return tensor.reshape(-1, *tensor.shape[-3:])
    return tensor[(None,) * (4 - tensor.dim())]
