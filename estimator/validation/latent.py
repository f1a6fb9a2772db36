"""Multi-head latent attention as DeepSeek-V3 has it (arXiv:2412.19437), stated as kernels: alone, and with its projections."""

from estimator.model.work import Kernel, Signature, TensorSpec
from estimator.run.stack import GROUP_PASS
from estimator.validation import native
from estimator.validation.rows import NotPredicted, Row
from estimator.validation.signatures import FORMATS, Kernels, attention_kernel, kernel, precision_of, product, quantised

LATENT, ROTARY, QUERY_LATENT, HEAD = 512, 64, 1536, 128  # exact: sizes of multi-head latent attention, DeepSeek-V3 (arXiv:2412.19437)
WIDTH = 7168  # exact: hidden size of DeepSeek-V3


def latent_attention(row: Row) -> Kernels:
    """The attention kernel of multi-head latent attention: expanded heads in prefill, one latent key head in decode."""
    _, cache = _formats(row)
    return (_latent(row.whole("batch_size"), row.whole("num_heads"), row, cache),)


def _formats(row: Row) -> tuple[str, str]:
    """Precision of the products, and format of the cache."""
    compute, _, cache = row.text("precision").partition("/kv ")
    if compute not in FORMATS or cache not in FORMATS:
        raise NotPredicted(f"operands of an unknown format: {row.text('precision')!r}")
    return precision_of(row), FORMATS[cache]


def _decodes(row: Row) -> bool:
    """Whether every sequence has one new token; a prompt of one token is handled so too."""
    return row.text("task") in ("generation_mla", "mla_generation_module") or row.number("input_len", 1.0) == 1


def _latent(batch: int, heads: int, row: Row, cache: str) -> Kernel:
    past = round(row.number("context_len", 0.0))
    if _decodes(row):
        query = TensorSpec((batch, heads, 1, LATENT + ROTARY), "bf16")
        key, value = (TensorSpec((batch, 1, past + 1, size), cache) for size in (LATENT + ROTARY, LATENT))
        out = TensorSpec((batch, heads, 1, LATENT), "bf16")
        return attention_kernel(query, key, value, True, None, "bf16", reads=(query, key), writes=(out,))  # the value is a part of the key
    new = row.whole("input_len")
    query = TensorSpec((batch, heads, new, HEAD + ROTARY), "bf16")
    key, value = (TensorSpec((batch, heads, past + new, size), "bf16") for size in (HEAD + ROTARY, HEAD))
    return attention_kernel(query, key, value, True, None, "bf16")


def latent_module(row: Row) -> Kernels:
    """A whole module of multi-head latent attention as DeepSeek-V3 has it: down and up projections, attention, output.

    In decode the up projections of keys and values are absorbed into the query and the output, one small product per head.
    """
    compute, cache = _formats(row)
    batch, heads = row.whole("batch_size"), row.whole("num_heads")
    decodes = _decodes(row)
    tokens = batch * (1 if decodes else row.whole("input_len"))
    alone = native.is_native(row)
    down = _linear(tokens, QUERY_LATENT + LATENT + ROTARY, WIDTH, compute)
    up = _linear(tokens, heads * (HEAD + ROTARY), QUERY_LATENT, compute)
    before = (*down, *_native(heads, tokens, up, cache)) if alone else (down[0], _norms(tokens), *down[1:], *up)
    middle: Kernels
    if decodes:
        joined = TensorSpec((tokens, heads, LATENT + ROTARY), "bf16")
        middle = (
            _per_head(heads, tokens, LATENT, HEAD),
            *((native.step("join queries", "copy", (joined,), joined),) if alone else ()),
            _latent(batch, heads, row, cache),
            _per_head(heads, tokens, HEAD, LATENT),
        )
    else:
        keys = tokens + batch * round(row.number("context_len", 0.0))
        assembled = _copied if alone else _assembled
        middle = (*_linear(keys, heads * 2 * HEAD, LATENT, compute), *assembled(heads, tokens, keys), _latent(batch, heads, row, cache))
    return (*before, *middle, *_linear(tokens, WIDTH, heads * HEAD, compute))


def _native(heads: int, tokens: int, up: Kernels, cache: str) -> Kernels:
    """Norms, rotations and the write to the cache around the up projection of the queries, as PyTorch's own kernels."""
    return (
        *native.norm(tokens, QUERY_LATENT),
        *up,
        *native.norm(tokens, LATENT),
        *native.rotation(tokens, heads, ROTARY),
        *native.rotation(tokens, 1, ROTARY),
        native.cached(tokens, LATENT + ROTARY, cache),
    )


def _norms(tokens: int) -> Kernel:
    """Root-mean-square norms of both latents."""
    latents = TensorSpec((tokens, QUERY_LATENT + LATENT), "bf16")
    return Kernel("norms", "pointwise", "forward", "", (Signature("aten.mul", (("self", latents),), (latents,)),), format="bf16")


def _copied(heads: int, tokens: int, keys: int) -> Kernels:
    """What vLLM's mla_attention.py does around prefill: both parts of the keys copied into a new tensor one after the other, and what
    attention wrote copied into the output."""
    part, out = TensorSpec((keys, heads, HEAD), "bf16"), TensorSpec((tokens, heads, HEAD), "bf16")
    shared, spread = TensorSpec((keys, 1, ROTARY), "bf16"), TensorSpec((keys, heads, ROTARY), "bf16")
    return (
        native.step("keys", "copy", (part,), part),
        native.step("rotary keys", "copy", (shared,), spread),
        native.step("output", "pointwise", (out,), out),
    )


def _assembled(heads: int, tokens: int, keys: int) -> Kernels:
    """Queries rotated; keys put together from their expanded and their rotated part, which all heads share, and cached."""
    queries, whole = TensorSpec((heads, tokens, HEAD + ROTARY), "bf16"), TensorSpec((heads, keys, HEAD + ROTARY), "bf16")
    expanded, shared = TensorSpec((heads, keys, HEAD), "bf16"), TensorSpec((keys, LATENT + ROTARY), "bf16")
    rotate = Signature("aten.mul", (("self", queries),), (queries,))
    return (Kernel("assemble", GROUP_PASS, "forward", "", (rotate,), (queries, expanded, shared), (queries, whole, shared), "bf16"),)


def _linear(m: int, n: int, k: int, precision: str) -> Kernels:
    return (*quantised(m, k, precision), product(m, n, k, precision))


def _per_head(heads: int, m: int, n: int, k: int) -> Kernel:
    a, b, out = (TensorSpec((heads, *shape), "bf16") for shape in ((m, k), (k, n), (m, n)))
    return kernel("aten.bmm", "matmul", {"self": a, "mat2": b}, (out,), "bf16")


def per_head_products(row: Row) -> Kernels:
    """The absorbed up projection of latent attention: one product for each head, before or after attention."""
    heads, tokens = row.whole("num_heads"), row.whole("num_tokens")
    post = row.text("op_name").endswith("post")
    return (_per_head(heads, tokens, HEAD, LATENT) if post else _per_head(heads, tokens, LATENT, HEAD),)
