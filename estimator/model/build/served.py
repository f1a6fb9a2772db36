"""Modules that serving engines run differently from the library's reference code, where the difference changes the work.

A replacement computes the same function of the same weights. What was replaced is reported as a decision of the architecture.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import MethodType
from typing import Any, NamedTuple

import torch
from transformers.models.deepseek_v3 import modeling_deepseek_v3 as deepseek_v3

from estimator.model.build.pictures import attend_within_pictures
from estimator.model.build.recurrent import delta_net, state_space
from estimator.model.tracing import attention


def route_tokens(self: Any, hidden_states: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Llama 4's experts, each given the tokens that were routed to it."""
    from transformers.integrations.moe import _default_apply_gate, grouped_mm_experts_forward  # of version 5

    hidden = hidden_states.reshape(-1, self.hidden_dim)
    logits = torch.nn.functional.linear(hidden, self.router.weight)
    scores, chosen = torch.topk(logits, self.top_k, dim=1)
    experts = self.experts
    experts.has_gate, experts.has_bias, experts.has_post_expert_norm = True, False, False
    experts.is_transposed, experts._is_expert_parallel = True, False
    experts._apply_gate = MethodType(_default_apply_gate, experts)
    out = self.shared_expert(hidden)
    out.add_(grouped_mm_experts_forward(experts, hidden, chosen, torch.sigmoid(scores.float()).to(hidden.dtype)))
    return out, logits


def attend_to_latents(self: Any, hidden_states: Any, position_embeddings: Any, attention_mask: Any, **given: Any) -> Any:
    """Multi-head latent attention with the up-projections absorbed into query and output (DeepSeek-V2, arXiv 2405.04434, 2.1.2)."""
    batch, rows = hidden_states.shape[:-1]
    widths = [self.qk_nope_head_dim, self.qk_rope_head_dim]
    query = hidden_states
    for layer in (self.q_proj,) if self.q_lora_rank is None else (self.q_a_proj, self.q_a_layernorm, self.q_b_proj):
        query = layer(query)
    content, turned = query.view(batch, rows, -1, self.qk_head_dim).transpose(1, 2).split(widths, dim=-1)
    latent, key = self.kv_a_proj_with_mqa(hidden_states).unsqueeze(1).split([self.kv_lora_rank, self.qk_rope_head_dim], dim=-1)
    rotate = deepseek_v3.apply_rotary_pos_emb_interleave if self.config.rope_interleave else deepseek_v3.apply_rotary_pos_emb
    turned, key = rotate(turned, key, *position_embeddings)
    caches = given["cache" if "cache" in given else "past_key_values"]  # the older name
    keys = caches.layers[self.layer_idx].append(torch.cat((self.kv_a_layernorm(latent), key), dim=-1))
    up = self.kv_b_proj.weight.view(self.num_heads, -1, self.kv_lora_rank)
    up_key, up_value = up.split([self.qk_nope_head_dim, self.v_head_dim], dim=1)
    query = torch.cat((torch.einsum("bhrn,hnl->bhrl", content, up_key), turned), dim=-1)
    out = attention(query, keys, keys[..., : self.kv_lora_rank], None, 0.0, True, self.scaling)
    out = torch.einsum("bhrl,hvl->brhv", out, up_value)
    return self.o_proj(out.reshape(batch, rows, -1)), None


class Replacement(NamedTuple):
    """A forward method, the steps in which it takes the reference's place, and what to say about it."""

    forward: Callable[..., Any]
    steps: frozenset[str]
    decision: str


EVERY_STEP = frozenset({"prefill", "decode", "training"})
RECURRENT = (
    "A recurrent layer is traced as attention within chunks and products with its state between them, as kernels for it work; its state "
    "is kept in fp32, one for each sequence whatever its length."
)
REPLACEMENTS = {
    "Qwen3NextGatedDeltaNet": Replacement(delta_net, EVERY_STEP, RECURRENT),
    "NemotronHMamba2Mixer": Replacement(state_space, EVERY_STEP, RECURRENT),
    "Qwen3VLVisionAttention": Replacement(
        attend_within_pictures, frozenset({"see"}), "Each picture attends to itself; pictures of one size are a batch."
    ),
    "Llama4TextMoe": Replacement(
        route_tokens, EVERY_STEP, "Every token goes to its own expert; the library's reference code sends all tokens through all experts."
    ),
    "DeepseekV3Attention": Replacement(
        attend_to_latents,
        frozenset({"decode"}),
        "Decoding attends to the cached latents directly, as serving engines do; the library's reference code expands all of them for "
        "each token. The latents serve as keys and as values and are counted as read twice.",
    ),
}


@contextmanager
def served(model: torch.nn.Module, step: str) -> Iterator[set[str]]:
    """The model with its replacements for one step in place; gives the decisions that they stand for."""
    found = [(module, REPLACEMENTS[kind]) for module in model.modules() if (kind := type(module).__name__) in REPLACEMENTS]
    found = [(module, replacement) for module, replacement in found if step in replacement.steps]
    try:
        for module, replacement in found:
            module.__dict__["forward"] = MethodType(replacement.forward, module)
        yield {replacement.decision for _, replacement in found}
    finally:
        for module, _ in found:
            module.__dict__.pop("forward", None)
