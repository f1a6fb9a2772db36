"""Transformers' models attend, cache and route through these, so that a trace holds whole operations whose sizes are polynomial.

A mask of rows x keys is never built: a causal or windowed mask stays a parameter of the attention operation. The cache of a
decoding step grows in place, as it does in every serving engine, where the library's own copies all of it for each token.
"""

import inspect
from typing import Any

import torch
from transformers import AttentionInterface
from transformers.cache_utils import Cache, CacheLayerMixin, DynamicCache, EncoderDecoderCache

from estimator.errors import TraceError
from estimator.model.tracing import attention, kv_append

IMPLEMENTATION = "estimator"  # having no entry in the library's table of mask functions, it is given no mask


def attend(module: torch.nn.Module, query: Any, key: Any, value: Any, attention_mask: Any, **settings: Any) -> tuple[Any, None]:
    """The library's attention interface as one operation; (batch, rows, heads, head_dim) comes back, and no weights."""
    causal = settings.get("is_causal")
    causal = getattr(module, "is_causal", True) if causal is None else causal
    bias = settings.get("position_bias", attention_mask)
    window = settings.get("sliding_window") or _chunk(module)
    out = attention(query, key, value, bias, settings.get("dropout", 0.0), causal, settings.get("scaling"), window)
    return out.transpose(1, 2).contiguous(), None


def _chunk(module: Any) -> int | None:
    """Width of chunked attention: a row sees what precedes it in its chunk, at most that many keys."""
    types = getattr(module.config, "layer_types", None)
    chunked = types is not None and types[getattr(module, "layer_idx", 0)] == "chunked_attention"
    return module.config.attention_chunk_size if chunked else None


class GrowingLayer(CacheLayerMixin):
    """The cache of one layer, holding `past` tokens; `update` appends behind them in place."""

    is_sliding = False

    def __init__(self, past: int = 0) -> None:
        super().__init__()
        self.past = past

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Allocate room for the tokens that are in the cache already."""
        self.keys, self.values = (new.new_empty(*new.shape[:-2], self.past, new.shape[-1]) for new in (key_states, value_states))
        self.is_initialized = True

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """Append the new keys and values; returns all of them."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        self.keys, self.values = kv_append(self.keys, key_states), kv_append(self.values, value_states)
        return self.keys, self.values

    def append(self, states: torch.Tensor) -> torch.Tensor:
        """Append to a cache of one tensor, which holds what keys and values share; returns all of it."""
        self.keys = kv_append(states.new_empty(*states.shape[:-2], self.past, states.shape[-1]), states)
        return self.keys

    def get_seq_length(self) -> int:
        return self.past if self.keys is None else self.keys.shape[-2]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.get_seq_length() + query_length, 0

    def get_max_length(self) -> int:
        return -1

    get_max_cache_shape = get_max_length  # its name before


def cache(config: Any, past: int, replaced: bool = False) -> Cache:
    """A cache that holds `past` tokens in every layer of a decoder; a layer with a state instead of tokens keeps the library's own.

    Raises `TraceError` where such a state would have to hold `past` tokens, unless those layers are `replaced` (recurrent.py).
    """
    decoder = config.get_text_config(decoder=True)
    own = dict(enumerate(DynamicCache(config=decoder).layers))
    states = {index: layer for index, layer in own.items() if not (replaced or isinstance(layer, CacheLayerMixin))}
    if states and past:
        raise TraceError(f"a {type(decoder).__name__} keeps states between tokens, which hold no past here; trace it with its own cache.")
    return Cache(layers=[states.get(index, GrowingLayer(past)) for index in range(decoder.num_hidden_layers)])


def cached(model: torch.nn.Module, caches: Cache) -> dict[str, Any]:
    """The arguments that hand caches to a model's forward; the library renamed `past_key_values` to `cache` in version 5."""
    name = "cache" if "cache" in inspect.signature(model.forward).parameters else "past_key_values"
    return {name: caches, "use_cache": True}


def encoder_decoder_cache(config: Any, past: int, crossed: tuple[torch.Tensor, torch.Tensor] | None) -> EncoderDecoderCache:
    """Caches of self-attention with `past` tokens and of cross-attention with the given keys and values, or still empty."""
    both = EncoderDecoderCache(cache(config, past), cache(config, 0))
    layer: Any
    for index, layer in enumerate(both.cross_attention_cache.layers):
        both.is_updated[index] = crossed is not None
        if crossed is not None:
            (layer.keys, layer.values), layer.is_initialized = crossed, True
    return both


AttentionInterface.register(IMPLEMENTATION, attend)
