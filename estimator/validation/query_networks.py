"""Models of families, traced for one query; only imported where torch and transformers are."""

from importlib import import_module
from typing import Any

from estimator.model.build.construct import on_meta
from estimator.model.build.steps import classify, decode, decode_encoded, encode, forward, prefill
from estimator.model.fusion import kernels
from estimator.model.tracing.formats import FORMAT
from estimator.model.work import Kernel

HEADS = {
    "text": ("ForSequenceClassification",),
    "complete": ("ForMaskedLM",),
    "image": ("ForImageClassification",),
    "generate": ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration"),
}
Steps = tuple[tuple[str, tuple[Kernel, ...], float], ...]


def traced(family: str, config: dict[str, Any], kind: str, number_format: str, batch: int, length: int, output: int) -> Steps:
    """(phase, kernels, steps) of one query: a forward pass, or a prompt and its output tokens at their mean context."""
    library: Any = import_module("transformers")
    model_class = next(found for head in HEADS[kind] if (found := getattr(library, family + head, None)) is not None)
    dtype = next(dtype for dtype, form in FORMAT.items() if form == number_format)
    model = on_meta(model_class, model_class.config_class(**config), dtype).eval()
    if kind in ("text", "complete"):
        return (("forward", kernels(forward(model, batch, length)), 1.0),)
    if kind == "image":
        return (("forward", kernels(classify(model, batch)), 1.0),)
    past = length + output // 2  # work is linear in the context, so its mean gives the sum
    if getattr(model.config, "is_encoder_decoder", False):
        first, later = encode(model, batch, length), decode_encoded(model, batch, output // 2, length)
    else:
        first, later = prefill(model, batch, length), decode(model, batch, past)
    rest = (("decode", kernels(later), float(output - 1)),) if output > 1 else ()
    return (("prefill", kernels(first), 1.0), *rest)
