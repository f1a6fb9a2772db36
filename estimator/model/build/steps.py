"""The steps of each kind of model: which call is traced, and the sizes at which it is (`samples.toml` says why those)."""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from transformers.modeling_outputs import BaseModelOutput

from estimator.model.build.attention import cache, cached, encoder_decoder_cache
from estimator.model.build.recurrent import keeps_states
from estimator.model.lift import grid
from estimator.model.trace import Trace
from estimator.model.tracing import trace

SAMPLES = tomllib.loads(Path(__file__).with_name("samples.toml").read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True)
class Step:
    """One step: the sizes it depends on, the call that traces it, and the sizes to trace it at."""

    symbols: tuple[str, ...]
    run: Callable[..., Trace]
    samples: Mapping[str, Any]

    def points(self, degree: int) -> list[dict[str, int]]:
        """The grid of sizes through which dimensions of that degree in each size (but one in `batch`) can be fitted."""
        return grid(**{name: self.samples[name][: degree + 1] for name in self.symbols})

    @property
    def held_out(self) -> list[dict[str, int]]:
        """Sizes to check the lifted program at."""
        return [{name: self.samples["check"][name] for name in self.symbols}]


def tokens(*shape: int) -> torch.Tensor:
    """Token numbers without values."""
    return torch.empty(*shape, dtype=torch.long, device="meta")


def prefill(model: Any, batch: int, sequence: int) -> Trace:
    """The prompts into an empty cache, logits of each last token."""
    return _generate(model, tokens(batch, sequence), past=0)


def decode(model: Any, batch: int, past: int) -> Trace:
    """One token behind `past` cached ones."""
    return _generate(model, tokens(batch, 1), past)


def _generate(model: Any, ids: torch.Tensor, past: int) -> Trace:
    caches = cache(model.config, past, keeps_states(model))
    return trace(model, input_ids=ids, **cached(model, caches), logits_to_keep=1, training=False)


def training(model: Any, batch: int, sequence: int) -> Trace:
    """Forward, loss over all tokens, backward."""
    ids = tokens(batch, sequence)
    options: dict[str, Any] = {"use_cache": False} if hasattr(model.config, "use_cache") else {}
    return trace(model, input_ids=ids, labels=ids, training=True, backward=True, **options)


def forward(model: Any, batch: int, sequence: int) -> Trace:
    """An encoder over whole sequences."""
    return trace(model, input_ids=tokens(batch, sequence), training=False)


def images(model: Any, batch: int) -> torch.Tensor:
    """Images of the size that the model was made for, ImageNet's where it does not say."""
    side = getattr(model.config, "image_size", SAMPLES["image"]["side"]["value"])
    height, width = (side, side) if isinstance(side, int) else side
    return torch.empty(batch, model.config.num_channels, height, width, dtype=model.dtype, device="meta")


def classify(model: Any, batch: int) -> Trace:
    """Images to class scores."""
    return trace(model, pixel_values=images(model, batch), training=False)


def train_classifier(model: Any, batch: int) -> Trace:
    """Forward, loss and backward over images."""
    return trace(model, pixel_values=images(model, batch), labels=tokens(batch), training=True, backward=True)


def source(model: Any, batch: int, sequence: int | None) -> dict[str, Any]:
    """What an encoder-decoder reads: text, or speech, whose spectrogram has one fixed length."""
    if sequence is not None:
        return {"input_ids": tokens(batch, sequence)}
    frames = 2 * model.config.max_source_positions  # the second convolution halves them
    return {"input_features": torch.empty(batch, model.config.num_mel_bins, frames, dtype=model.dtype, device="meta")}


def encode(model: Any, batch: int, sequence: int | None = None) -> Trace:
    """The encoder, the cross-attention cache and the first decoder token."""
    inputs = source(model, batch, sequence) | {"decoder_input_ids": tokens(batch, 1)}
    return trace(model, **inputs, **cached(model, encoder_decoder_cache(model.config, 0, None)), training=False)


def decode_encoded(model: Any, batch: int, past: int, sequence: int | None = None) -> Trace:
    """One decoder token behind `past` cached ones, all attending to an encoded source."""
    config = model.config
    rows = config.max_source_positions if sequence is None else sequence
    heads = getattr(config, "decoder_attention_heads", None) or config.num_heads
    width = getattr(config, "d_kv", config.d_model // heads)
    keys, values = (torch.empty(batch, heads, rows, width, dtype=model.dtype, device="meta") for _ in ("keys", "values"))
    encoded = BaseModelOutput(last_hidden_state=torch.empty(batch, rows, config.d_model, dtype=model.dtype, device="meta"))
    caches = encoder_decoder_cache(config, past, (keys, values))
    return trace(model, decoder_input_ids=tokens(batch, 1), encoder_outputs=encoded, **cached(model, caches), training=False)


def train_translator(model: Any, batch: int, target: int, sequence: int | None = None) -> Trace:
    """Forward, loss over the target tokens, backward."""
    return trace(model, **source(model, batch, sequence), labels=tokens(batch, target), use_cache=False, training=True, backward=True)


def _inference(run: Callable[..., Trace], *symbols: str) -> Step:
    return Step(symbols, run, SAMPLES["inference"])


def _training(run: Callable[..., Trace], *symbols: str) -> Step:
    return Step(symbols, run, SAMPLES["training"])


STEPS: Mapping[str, Mapping[str, Step]] = {
    "causal-lm": {
        "prefill": _inference(prefill, "batch", "sequence"),
        "decode": _inference(decode, "batch", "past"),
        "training": _training(training, "batch", "sequence"),
    },
    "encoder": {"forward": _inference(forward, "batch", "sequence"), "training": _training(training, "batch", "sequence")},
    "vision": {"forward": _inference(classify, "batch"), "training": _training(train_classifier, "batch")},
    "encoder-decoder": {
        "encode": _inference(encode, "batch", "sequence"),
        "decode": _inference(decode_encoded, "batch", "past", "sequence"),
        "training": _training(train_translator, "batch", "target", "sequence"),
    },
}


def steps_of(kind: str, config: Any) -> dict[str, Step]:
    """The steps of a model; where the source is speech of one fixed length, no step depends on `sequence`."""
    fixed = {"sequence"} if hasattr(config, "max_source_positions") else set()
    return {name: replace(step, symbols=tuple(s for s in step.symbols if s not in fixed)) for name, step in STEPS[kind].items()}
