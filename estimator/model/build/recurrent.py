"""Layers with a state instead of a cache, as serving engines run them: in chunks over a prompt, one update for each new token.

Inside a chunk the recurrence is attention of the chunk's tokens to each other, so that it is traced as attention with a window of
one chunk; between chunks it is two products with the state (Yang et al., Gated delta networks, arXiv:2412.06464, section 3.3; Dao
and Gu, Transformers are SSMs, arXiv:2405.21060, section 6). States of all chunks but the last stay on the chip here.
"""

from typing import Any

import torch
from torch.nn.functional import conv1d, silu, softplus

from estimator.model.tracing import attention, state_step

CHUNK = 64  # exact: tokens of a chunk in the flash-linear-attention library (chunk_gated_delta_rule)
STATEFUL = {"Qwen3NextGatedDeltaNet", "NemotronHMamba2Mixer"}


def keeps_states(model: torch.nn.Module) -> bool:
    """Whether a model has layers that are replaced by those below."""
    return any(type(module).__name__ in STATEFUL for module in model.modules())


def state_bytes(model: torch.nn.Module) -> int:
    """Bytes of the states of one sequence, in fp32."""
    return sum(_numbers(module) for module in model.modules() if type(module).__name__ in STATEFUL) * torch.float32.itemsize


def _numbers(layer: Any) -> int:
    if hasattr(layer, "ssm_state_size"):
        return layer.num_heads * layer.head_dim * layer.ssm_state_size
    return layer.num_v_heads * layer.head_k_dim * layer.head_v_dim


def short_convolution(layer: Any, mixed: torch.Tensor) -> torch.Tensor:
    """Each channel with its latest tokens, and what is kept of them for one new token; (batch, channels, rows)."""
    rows, kernel = mixed.shape[-1], layer.conv_kernel_size
    if rows == 1:
        mixed = torch.cat((mixed.new_empty(*mixed.shape[:-1], kernel - 1), mixed), dim=-1)
        return silu(conv1d(mixed, layer.conv1d.weight, layer.conv1d.bias, groups=layer.conv_dim))
    return silu(conv1d(mixed, layer.conv1d.weight, layer.conv1d.bias, padding=kernel - 1, groups=layer.conv_dim)[..., :rows])


def delta_net(self: Any, hidden_states: torch.Tensor, cache: Any = None, attention_mask: Any = None, **_: Any) -> torch.Tensor:
    """The layer of Qwen3-Next: projections and short convolution as in the library, the gated delta rule in chunks or one step."""
    batch, rows = hidden_states.shape[:2]
    query, key, value, z, b, a = self.fix_query_key_value_ordering(self.in_proj_qkvz(hidden_states), self.in_proj_ba(hidden_states))
    mixed = torch.cat([part.reshape(batch, rows, -1) for part in (query, key, value)], dim=-1).transpose(1, 2)
    mixed = short_convolution(self, mixed).transpose(1, 2)
    query, key, value = mixed.split([self.key_dim, self.key_dim, self.value_dim], dim=-1)
    query, key = (_unit(part.reshape(batch, rows, -1, self.head_k_dim)) for part in (query, key))
    each = self.num_v_heads // self.num_k_heads
    query, key = (part.repeat_interleave(each, dim=2) for part in (query, key))
    decay = torch.exp(-self.A_log.float().exp() * softplus(a.float() + self.dt_bias)).to(value.dtype)
    value, strength = value.reshape(batch, rows, -1, self.head_v_dim), b.sigmoid()
    parts = [part.transpose(1, 2) for part in (query * decay[..., None], key * strength[..., None], value * strength[..., None])]
    out = one_token(*parts) if rows == 1 else delta_rule(*parts)
    out = self.norm(out.transpose(1, 2).reshape(-1, self.head_v_dim), z.reshape(-1, self.head_v_dim))
    return self.out_proj(out.reshape(batch, rows, -1))


def _unit(heads: torch.Tensor) -> torch.Tensor:
    return heads * torch.rsqrt((heads * heads).sum(-1, keepdim=True))


def one_token(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """One new token: every head's state decays, takes it up and is read."""
    return state_step(value.new_empty(*value.shape[:2], key.shape[-1], value.shape[-1], dtype=torch.float32), query, key, value)


def delta_rule(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """All tokens, (batch, heads, rows, width): keys against keys give the corrected values, queries read them and the state."""
    corrected = attention(key, key, torch.cat((value, key), dim=-1), causal=True, window=CHUNK)
    update, seen = corrected.split([value.shape[-1], key.shape[-1]], dim=-1)
    state = value.new_empty(*value.shape[:2], key.shape[-1], value.shape[-1])
    update = update - seen @ state
    return query @ (key.transpose(-1, -2) @ update) + attention(query, key, update, causal=True, window=CHUNK)


def state_space(self: Any, hidden_states: torch.Tensor, cache: Any = None, attention_mask: Any = None, **_: Any) -> torch.Tensor:
    """The Mamba-2 layer of Nemotron-H: projections and short convolution as in the library, the scan in chunks or one step."""
    batch, rows = hidden_states.shape[:2]
    widths = [self.intermediate_size, self.conv_dim, self.num_heads]
    gate, mixed, step = self.in_proj(hidden_states).split(widths, dim=-1)
    mixed = short_convolution(self, mixed.transpose(1, 2)).transpose(1, 2)
    groups = self.n_groups * self.ssm_state_size
    x, key, query = mixed.split([self.intermediate_size, groups, groups], dim=-1)
    step = softplus(step.float() + self.dt_bias)
    decay = torch.exp(-self.A_log.float().exp() * step).to(x.dtype)
    x = x.reshape(batch, rows, self.num_heads, self.head_dim)
    value = (x * (step.to(x.dtype) + decay)[..., None]).transpose(1, 2)
    query, key = (part.reshape(batch, rows, self.n_groups, -1).transpose(1, 2) for part in (query, key))
    out = one_token(query, key, value) if rows == 1 else scan(query, key, value, self.chunk_size)
    out = out.transpose(1, 2) + x * self.D[:, None]
    return self.out_proj(self.norm(out.reshape(batch, rows, -1), gate))


def scan(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, chunk: int) -> torch.Tensor:
    """All tokens, (batch, heads, rows, width), whose queries and keys groups of heads share."""
    batch, groups, rows, _ = key.shape
    grouped = value.reshape(batch, groups, -1, rows, value.shape[-1]).transpose(2, -2).reshape(batch, groups, rows, -1)
    out = query @ (key.transpose(-1, -2) @ grouped) + attention(query, key, grouped, causal=True, window=chunk)
    return out.reshape(batch, groups, rows, -1, value.shape[-1]).transpose(2, -2).reshape(value.shape)
