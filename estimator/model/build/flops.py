"""A bundled model as the library builds it, counted here and by other counters."""

from typing import Any

import transformers

from estimator.model.build import attention, zoo
from estimator.model.build.construct import on_meta
from estimator.model.build.steps import images, source, tokens
from estimator.model.cross_check import CrossCheck
from estimator.model.tracing import cross_check
from estimator.model.tracing.formats import FORMAT


def cross_check_bundled(name: str, batch: int, sequence: int, backward: bool) -> CrossCheck:
    """One pass over `batch` sequences or images of a bundled model; attention by the library's call of torch's own function.

    Raises `UnknownName` for a name that is not bundled.
    """
    entry = zoo.entry(name)
    model_class = getattr(transformers, entry["model"])
    dtype = next(dtype for dtype, form in FORMAT.items() if form == entry["format"])
    model = on_meta(model_class, model_class.config_class(**entry["config"]), dtype).eval()
    if model.config._attn_implementation == attention.IMPLEMENTATION and getattr(model, "_supports_sdpa", False):
        model.set_attn_implementation("sdpa")
    return cross_check(model, backward=backward, name=name, **_inputs(model, entry["kind"], batch, sequence))


def _inputs(model: Any, kind: str, batch: int, sequence: int) -> dict[str, Any]:
    if kind == "vision":
        return {"pixel_values": images(model, batch)}
    if kind == "encoder-decoder":
        speech = hasattr(model.config, "max_source_positions")
        return source(model, batch, None if speech else sequence) | {"decoder_input_ids": tokens(batch, sequence)}
    return {"input_ids": tokens(batch, sequence)}
