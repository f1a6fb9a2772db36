"""Decoders whose layers differ: some have no attention, some a narrower feed-forward block (Bercovich et al., Puzzle, arXiv:2411.19146)."""

from copy import copy
from typing import Any

import torch


class FeedForwardAlone(torch.nn.Module):
    """A layer whose attention was taken out, with the normalisation in front of it."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.post_attention_layernorm, self.mlp = layer.post_attention_layernorm, layer.mlp

    def forward(self, hidden_states: torch.Tensor, **_: Any) -> torch.Tensor:
        """The feed-forward block around its residual."""
        return hidden_states + self.mlp(self.post_attention_layernorm(hidden_states))


def fit_layers(model: Any) -> None:
    """Give a model whose configuration lists `blocks` (layers, attention or not, width) the layers that they say."""
    index = 0
    for count, attends, width in getattr(model.config, "blocks", ()):
        for layer in range(index, index + count):
            _fit(model.model.layers, layer, attends, width)
        index += count


def _fit(layers: torch.nn.ModuleList, index: int, attends: bool, width: int) -> None:
    layer: Any = layers[index]
    config = copy(layer.mlp.config)
    config.intermediate_size = width
    layer.mlp = type(layer.mlp)(config)
    if not attends:
        layers[index] = FeedForwardAlone(layer)
