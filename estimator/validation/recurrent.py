"""Linear recurrences of published benchmarks as kernels: the gated delta rule, and the scan of Mamba-2.

Both cut time into chunks: inside a chunk the recurrence is a few matrix products, and a state is handed from chunk to chunk.
"""

from estimator.model.work import Kernel, Signature, TensorSpec
from estimator.run.recurrence import STATE_PASS
from estimator.validation.rows import NotPredicted, Row
from estimator.validation.signatures import Kernels, convolution_1d

CHUNK = 64  # exact: tokens of a chunk in the flash-linear-attention library (chunk_gated_delta_rule)
KIND = "recurrence"


def recurrence(row: Row) -> Kernels:
    """What a row of the tasks "gdn" and "mamba2" ran; raises `NotPredicted` for a kernel without a rule."""
    kernels = {
        "causal_conv1d_fn": convolution_1d,
        "chunk_gated_delta_rule": delta_rule,
        "fused_recurrent_gated_delta_rule": delta_rule_step,
        "mamba_chunk_scan_combined": chunk_scan,
    }
    source = row.text("kernel_source")
    if source not in kernels:
        raise NotPredicted(f"no rule for the recurrence {source!r}")
    return kernels[source](row)


def delta_rule(row: Row) -> Kernels:
    """Gated delta rule in chunks (Yang et al., Gated delta networks, arXiv:2412.06464): seven kernels of flash-linear-attention.

    Queries and keys are normalised; a chunk's keys against themselves give a triangular matrix, its inverse turns keys and values
    into w and u; states are passed on; queries read states and chunk.
    """
    sequences, tokens, heads = row.whole("batch_size"), row.whole("num_tokens"), row.whole("num_v_heads")
    groups, k, v = row.whole("num_k_heads"), row.whole("head_k_dim"), row.whole("head_v_dim")
    chunks = tokens / CHUNK
    query, value = TensorSpec((tokens, groups, k), "bf16"), TensorSpec((tokens, heads, v), "bf16")
    w, square = TensorSpec((tokens, heads, k), "bf16"), TensorSpec((tokens, heads, CHUNK), "fp32")
    inverse, states = TensorSpec((tokens, heads, CHUNK), "bf16"), TensorSpec((chunks, heads, k, v), "bf16")
    each = chunks * heads
    passed = Signature(
        STATE_PASS,
        (("state", TensorSpec((sequences * heads, k, v), "fp32")), ("steps", chunks / sequences), ("chunk", CHUNK)),
        (states,),
    )
    return (
        _pass("normalise", (query, query), (query, query)),
        _kernel("keys against keys", (query,), (square,), _product(each, CHUNK, CHUNK, k)),
        _kernel("invert", (square,), (inverse,), _product(each, CHUNK, CHUNK, CHUNK)),
        _kernel("w and u", (query, value, inverse), (w, value), _product(each, CHUNK, k, CHUNK), _product(each, CHUNK, v, CHUNK)),
        _kernel("pass states", (query, w, value), (states, value), passed),
        _kernel(
            "read out", (query, query, value, states), (value,),
            _product(each, CHUNK, v, k), _product(each, CHUNK, CHUNK, k), _product(each, CHUNK, v, CHUNK),
        ),
    )  # fmt: skip


def delta_rule_step(row: Row) -> Kernels:
    """One new token for each sequence: every head's state is read, decayed, updated and written."""
    sequences, heads = row.whole("batch_size"), row.whole("num_v_heads")
    state = TensorSpec((sequences, heads, row.whole("head_k_dim"), row.whole("head_v_dim")), "fp32")
    update = tuple(Signature("aten.mul", (("self", state),), (state,)) for _ in range(4))  # decay, read, two for the outer product
    return (Kernel("update states", "pointwise", "forward", "", update, (state,), (state,), "fp32"),)


def chunk_scan(row: Row) -> Kernels:
    """Selective state space in chunks (Dao and Gu, Transformers are SSMs, arXiv:2405.21060): five kernels of mamba-ssm."""
    tokens, heads, groups = row.whole("num_tokens"), row.whole("nheads"), row.whole("n_groups")
    p, n, chunk = row.whole("head_dim"), row.whole("d_state"), row.whole("chunk_size")
    chunks = tokens / chunk
    x, b = TensorSpec((tokens, heads, p), "bf16"), TensorSpec((tokens, groups, n), "bf16")
    step, states = TensorSpec((tokens, heads), "fp32"), TensorSpec((chunks, heads, p, n), "fp32")
    square = TensorSpec((chunks, groups, chunk, chunk), "fp32")
    return (
        _pass("cumulative steps", (step,), (step, step)),
        _kernel("states of chunks", (x, b, step, step), (states,), _product(chunks * heads, p, n, chunk)),
        _pass("pass states", (states,), (states,)),
        _kernel("keys against queries", (b, b), (square,), _product(chunks * groups, chunk, chunk, n)),
        _kernel(
            "read out", (x, x, b, square, states, step, step), (x,),
            _product(chunks * heads, chunk, p, n), _product(chunks * heads, chunk, p, chunk),
        ),
    )  # fmt: skip


def _product(batch: float, m: int, n: int, k: int) -> Signature:
    a, b, out = (TensorSpec((batch, *shape), "bf16") for shape in ((m, k), (k, n), (m, n)))
    return Signature("aten.bmm", (("self", a), ("mat2", b)), (out,))


def _kernel(name: str, reads: tuple[TensorSpec, ...], writes: tuple[TensorSpec, ...], *signatures: Signature) -> Kernel:
    return Kernel(name, KIND, "forward", "", signatures, reads, writes, "bf16")


def _pass(name: str, reads: tuple[TensorSpec, ...], writes: tuple[TensorSpec, ...]) -> Kernel:
    """A kernel that goes over its operands once, with a multiplication for each element."""
    work = tuple(Signature("aten.mul", (("self", spec),), (spec,)) for spec in reads)
    return Kernel(name, KIND, "forward", "", work, reads, writes, "bf16")
