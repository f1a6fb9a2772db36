"""Whole models of the transformers library with random weights: prefill, one decoded token, one training step.

Configuration and number format are those of the bundled architecture of that name, so that what runs is what is predicted.
"""

from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any

import torch
import transformers

from estimator.model.build import zoo
from estimator.model.tracing.formats import FORMAT
from estimator.validation.rows import NotPredicted, Row

Call = Callable[[], Any]
CACHE_NAMES = ("cache", "past_key_values")  # the library renamed the argument in 2026
OPTIMIZERS: Mapping[str, Callable[..., torch.optim.Optimizer]] = {
    "adamw": lambda weights: torch.optim.AdamW(weights, lr=1e-5, fused=True),  # exact: the learning rate changes no work
    "momentum": lambda weights: torch.optim.SGD(weights, lr=1e-5, momentum=0.5, fused=True),  # exact: likewise
}


def step(row: Row, device: torch.device, entry: Mapping[str, Any] | None = None) -> Call:
    """The step that the row's `task` names; `entry` takes the place of the bundled model's table (see `zoo.entry`)."""
    entry = entry or zoo.entry(row.text("model_id"))
    steps = {"prefill": _prefill, "decode": _decode, "training": _training}
    if row.text("task") not in steps:
        raise NotPredicted(f"no step {row.text('task')!r}: {', '.join(steps)}")
    return steps[row.text("task")](_built(entry, device), row, device)


def _built(entry: Mapping[str, Any], device: torch.device) -> Any:
    model_class = getattr(transformers, entry["model"])
    config = model_class.config_class(**entry["config"])
    default = torch.get_default_dtype()
    torch.set_default_dtype(next(dtype for dtype, form in FORMAT.items() if form == entry["format"]))
    try:
        with torch.device(device):
            return model_class(config)
    finally:
        torch.set_default_dtype(default)


def _tokens(model: Any, device: torch.device, *shape: int) -> torch.Tensor:
    return torch.randint(model.config.vocab_size, shape, device=device)


def _prefill(model: Any, row: Row, device: torch.device) -> Call:
    ids = _tokens(model, device, row.whole("batch_size"), row.whole("input_len"))
    model.eval()
    return lambda: model(input_ids=ids, use_cache=True, logits_to_keep=1)


def _decode(model: Any, row: Row, device: torch.device) -> Call:
    """One token behind `context_len` cached ones; the cache is cut back after each call, so that every call is the same."""
    batch, past = row.whole("batch_size"), row.whole("context_len")
    model.eval()
    cache = transformers.DynamicCache()
    known = signature(model.forward).parameters
    held = {next(name for name in CACHE_NAMES if name in known): cache}
    model(input_ids=_tokens(model, device, batch, past), **held, use_cache=True, logits_to_keep=1)
    token = _tokens(model, device, batch, 1)

    def call() -> None:
        model(input_ids=token, **held, use_cache=True, logits_to_keep=1)
        cache.crop(-1)

    return call


def _training(model: Any, row: Row, device: torch.device) -> Call:
    """Forward, loss, backward and the optimizer's step."""
    model.train()
    inputs = _examples(model, row, device)
    optimizer = OPTIMIZERS[row.text("optimizer")](model.parameters())

    def call() -> None:
        model(**inputs).loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return call


def _examples(model: Any, row: Row, device: torch.device) -> dict[str, Any]:
    batch, config = row.whole("batch_size"), model.config
    if row.text("input_len"):
        ids = _tokens(model, device, batch, row.whole("input_len"))
        return {"input_ids": ids, "labels": ids, "use_cache": False}
    side = getattr(config, "image_size", 224)  # exact: ImageNet's crops, as in model/build/samples.toml
    pixels = torch.randn(batch, config.num_channels, side, side, device=device, dtype=model.dtype)
    return {"pixel_values": pixels, "labels": torch.randint(config.num_labels, (batch,), device=device)}
