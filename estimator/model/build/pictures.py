"""Attention of vision towers, each picture to itself, as serving engines run it."""

from typing import Any

import torch

from estimator.model.tracing import attention

THREE = 3  # exact: query, key and value come out of one product


def attend_within_pictures(self: Any, hidden_states: torch.Tensor, position_embeddings: Any, max_seqlen: int, **_: Any) -> torch.Tensor:
    """The library's attention over all pictures as one batch, each of `max_seqlen` patches."""
    from transformers.models.qwen3_vl.modeling_qwen3_vl import apply_rotary_pos_emb_vision as turn  # of version 4.57

    query, key, value = self.qkv(hidden_states).view(-1, THREE, self.num_heads, self.head_dim).unbind(1)
    query, key = turn(query, key, *position_embeddings)
    query, key, value = (part.view(-1, max_seqlen, self.num_heads, self.head_dim).transpose(1, 2) for part in (query, key, value))
    out = attention(query, key, value, None, 0.0, False, self.scaling)
    return self.proj(out.transpose(1, 2).reshape(len(hidden_states), -1))
