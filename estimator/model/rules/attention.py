"""Fused scaled-dot-product attention: softmax(Q Kᵀ · scale + mask) V without the scores ever reaching memory.

Dao et al., FlashAttention, arXiv:2205.14135: forward two products, backward five, for it recomputes the scores. Q, K and V
are read once and the output is written once. Query heads that share a key/value head (GQA) share its bytes.
"""

from math import prod

from estimator.model.rules.access import Touch, touches
from estimator.model.rules.arithmetic import minimum, positive_part
from estimator.model.rules.registry import moved, rule
from estimator.model.rules.table import flop_per_element
from estimator.model.work import Dim, MatrixProduct, Signature, TensorSpec, Work


def visible_pairs(queries: Dim, keys: Dim, causal: bool, window: Dim | None) -> Dim:
    """Query–key pairs that a mask leaves, exactly.

    The last query stands at the last key, so causal queries see keys - queries + 1, …, keys of them. A window w limits each
    to min(w, visible): with F(n) = Σ min(w, v) for v = 1 … n, the pairs are F(keys) - F(keys - queries). Without causality a
    window is taken as min(w, keys) keys for every query, which leaves out that it is cut at both ends.
    """
    if not causal:
        return queries * keys if window is None else queries * minimum(window, keys)
    past = positive_part(keys - queries)
    return _sum_of_visible(keys, window) - _sum_of_visible(past, window)


def _sum_of_visible(n: Dim, window: Dim | None) -> Dim:
    seen = n if window is None else minimum(n, window)
    return seen * (seen + 1) / 2 + (n - seen) * seen


def _mask(op: Signature) -> TensorSpec | None:
    return next((op.get(name) for name in ("mask", "attn_mask", "attn_bias") if op.get(name) is not None), None)


def _sizes(op: Signature):
    """Heads (batch included), queries, keys, head size of Q and K, head size of V, share of pairs executed."""
    query, key, value = op["query"], op["key"], op["value"]
    heads, queries, keys = prod(query.shape[:-2]), query.shape[-2], key.shape[-2]
    causal = bool(op.get("causal", op.get("is_causal", False)))
    executed = 1 if not causal and op.get("window") is None else visible_pairs(queries, keys, causal, op.get("window")) / (queries * keys)
    return heads, queries, keys, query.shape[-1], value.shape[-1], executed


def _softmax(op: Signature, entry: str, scores: Dim, outputs: Dim) -> dict[str, Dim]:
    per_score, per_output = flop_per_element(entry), flop_per_element(f"{entry}_output")
    extra = sum(flop_per_element(name).vector for name, used in (
        ("attention_mask", _mask(op) is not None), ("attention_dropout", bool(op.get("dropout", op.get("dropout_p", 0)))),
    ) if used)  # fmt: skip
    return {
        "vector": (per_score.vector + extra) * scores + per_output.vector * outputs,
        "special": per_score.special * scores + per_output.special * outputs,
    }


FORWARD = (
    "est.attention", "aten._scaled_dot_product_flash_attention", "aten._scaled_dot_product_efficient_attention",
    "aten._scaled_dot_product_cudnn_attention", "aten._scaled_dot_product_flash_attention_for_cpu",
    "aten._scaled_dot_product_fused_attention_overrideable",
)  # fmt: skip
BACKWARD = ("est.attention_backward", *(f"{op}_backward" for op in FORWARD if op.startswith("aten")))


@rule(*FORWARD, kind="attention")
def attention(op: Signature) -> Work:
    """Two products and the softmax between them."""
    heads, queries, keys, size, value_size, executed = _sizes(op)
    products = (
        MatrixProduct(heads, queries, keys, size, executed),  # S = Q Kᵀ
        MatrixProduct(heads, queries, value_size, keys, executed),  # O = P V
    )
    scores = heads * queries * keys * executed
    return moved(op, products=products, **_softmax(op, "attention", scores, heads * queries * value_size))


@rule(*BACKWARD, kind="attention")
def attention_backward(op: Signature) -> Work:
    """All five products, whichever gradients are wanted: that is what the fused kernels do."""
    heads, queries, keys, size, value_size, executed = _sizes(op)
    products = (
        MatrixProduct(heads, queries, keys, size, executed),  # S = Q Kᵀ, recomputed
        MatrixProduct(heads, queries, keys, value_size, executed),  # dP = dO Vᵀ
        MatrixProduct(heads, keys, value_size, queries, executed),  # dV = Pᵀ dO
        MatrixProduct(heads, queries, size, keys, executed),  # dQ = dS K
        MatrixProduct(heads, keys, size, queries, executed),  # dK = dSᵀ Q
    )
    scores = heads * queries * keys * executed
    return moved(op, products=products, **_softmax(op, "attention_backward", scores, heads * queries * value_size))


def _keys_in_reach(op: Signature) -> dict[str, TensorSpec | None]:
    """With a window only the last keys are read: those of the first query's window up to the last query."""
    if op.get("window") is None:
        return {}
    keys = minimum(op["key"].shape[-2], op["window"] + op["query"].shape[-2] - 1)
    return {name: _with_keys(op[name], keys) for name in ("key", "value")}


def _with_keys(spec: TensorSpec, keys: Dim) -> TensorSpec:
    return TensorSpec((*spec.shape[:-2], keys, spec.shape[-1]), spec.format, spec.expanded)


@touches(*FORWARD)
def forward_operands(op: Signature) -> Touch:
    """Keys and values in reach of the window; everything else once."""
    return Touch(_keys_in_reach(op))


@touches(*BACKWARD)
def backward_operands(op: Signature) -> Touch:
    """As forward; `out` is an input here."""
    return Touch({"out": op["out"], **_keys_in_reach(op)})


@rule("est.kv_append", kind="copy", fuses=False)
def kv_append(op: Signature) -> Work:
    """New keys or values go into their rows of the cache; the rest of the cache is not touched."""
    return moved(op)


@touches("est.kv_append")
def new_rows(op: Signature) -> Touch:
    """The cache stays where it is."""
    return Touch({"cache": None}, writes=(op["new"],))
