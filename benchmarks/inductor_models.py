"""The models that `inductor.py` compares: real widths, few layers, weights without values."""

import torch
import transformers

ATTENTION = "plain"
LLAMA = {"hidden_size": 1024, "intermediate_size": 2816, "num_hidden_layers": 2, "num_attention_heads": 16, "num_key_value_heads": 16,
         "vocab_size": 32000, "pad_token_id": 0}  # fmt: skip
TEXT, IMAGE, SPEECH = "text", "image", "speech"
WHISPER = {"encoder_layers": 2, "decoder_layers": 2, "d_model": 768, "encoder_attention_heads": 12, "decoder_attention_heads": 12,
           "encoder_ffn_dim": 3072, "decoder_ffn_dim": 3072}  # fmt: skip
T5 = {"num_layers": 2, "d_model": 768, "d_ff": 2048, "num_heads": 12, "feed_forward_proj": "gated-gelu"}
RULE_WRITTEN_ON = {
    "gpt-2": (TEXT, transformers.GPT2LMHeadModel, transformers.GPT2Config(n_layer=2)),
    "bert": (TEXT, transformers.BertForMaskedLM, transformers.BertConfig(num_hidden_layers=2)),
    "llama": (TEXT, transformers.LlamaForCausalLM, transformers.LlamaConfig(**LLAMA)),
    "qwen3": (TEXT, transformers.Qwen3ForCausalLM, transformers.Qwen3Config(**LLAMA, head_dim=64)),
    "phi": (TEXT, transformers.PhiForCausalLM, transformers.PhiConfig(**LLAMA)),
    "t5": (TEXT, transformers.T5ForConditionalGeneration, transformers.T5Config(**T5, attn_implementation="eager")),
    "vit": (IMAGE, transformers.ViTForImageClassification, transformers.ViTConfig(num_hidden_layers=2, num_labels=1000)),
    "mamba-2": (TEXT, transformers.Mamba2ForCausalLM, transformers.Mamba2Config(
        num_hidden_layers=2, hidden_size=1024, num_heads=32, n_groups=1, vocab_size=32000)),
    "resnet-50": (IMAGE, transformers.ResNetForImageClassification, transformers.ResNetConfig(num_labels=1000)),
    "mobilenet-v2": (IMAGE, transformers.MobileNetV2ForImageClassification, transformers.MobileNetV2Config(
        num_labels=1000, classifier_dropout_prob=0.0)),
}  # fmt: skip
HELD_OUT = {
    "gemma-3": (TEXT, transformers.Gemma3ForCausalLM, transformers.Gemma3TextConfig(**LLAMA, head_dim=64)),
    "opt": (TEXT, transformers.OPTForCausalLM, transformers.OPTConfig(
        num_hidden_layers=2, hidden_size=1024, ffn_dim=4096, num_attention_heads=16, vocab_size=32000, word_embed_proj_dim=1024)),
    "whisper": (SPEECH, transformers.WhisperForConditionalGeneration, transformers.WhisperConfig(**WHISPER)),
    "convnext": (IMAGE, transformers.ConvNextForImageClassification, transformers.ConvNextConfig(num_labels=1000)),
    "gpt-neox": (TEXT, transformers.GPTNeoXForCausalLM, transformers.GPTNeoXConfig(
        num_hidden_layers=2, hidden_size=1024, intermediate_size=4096, num_attention_heads=16, vocab_size=32000)),
    "olmo-2": (TEXT, transformers.Olmo2ForCausalLM, transformers.Olmo2Config(**LLAMA)),
    "regnet": (IMAGE, transformers.RegNetForImageClassification, transformers.RegNetConfig(num_labels=1000)),
    "swin": (IMAGE, transformers.SwinForImageClassification, transformers.SwinConfig(
        num_labels=1000, depths=[1, 1, 1, 1], drop_path_rate=0.0, attn_implementation="eager")),
}  # fmt: skip


def attend(module, query, key, value, attention_mask, scaling=None, dropout=0.0, is_causal=None, **_):
    """The library's attention interface as torch's own operation; never with a mask."""
    causal = getattr(module, "is_causal", True) if is_causal is None else is_causal
    out = torch.nn.functional.scaled_dot_product_attention(query, key, value, dropout_p=dropout, is_causal=causal, scale=scaling)
    return out.transpose(1, 2).contiguous(), None


transformers.AttentionInterface.register(ATTENTION, attend)


class Step(torch.nn.Module):
    """Logits of a model or, in training, their cross-entropy."""

    def __init__(self, model, training):
        super().__init__()
        self.model, self.scored = model, training

    def forward(self, targets, **inputs):
        logits = self.model(**inputs).logits
        return torch.nn.functional.cross_entropy(logits.flatten(0, -2), targets) if self.scored else logits


def build(name, training, device):
    """A step without random numbers (no dropout; batch norm as in training) and its inputs; values are never touched."""
    kind, model_class, config = (RULE_WRITTEN_ON | HELD_OUT)[name]
    if not config._attn_implementation_internal:
        config._attn_implementation_internal = ATTENTION
    with torch.device("meta"):
        model = model_class(config).train(training and kind == IMAGE)
    model = model.to_empty(device=device)
    model.tie_weights()
    ids = torch.zeros(2, 256, dtype=torch.long, device=device)
    inputs = {
        TEXT: {"input_ids": ids},
        IMAGE: {"pixel_values": torch.empty(8, 3, 224, 224, device=device)},
        SPEECH: {"input_features": torch.empty(2, 80, 3000, device=device)},
    }[kind]
    if config.is_encoder_decoder:
        inputs["decoder_input_ids"] = ids
    if hasattr(config, "use_cache"):
        inputs["use_cache"] = False
    targets = torch.zeros(8 if kind == IMAGE else 512, dtype=torch.long, device=device)
    return Step(model, training), inputs | {"targets": targets}
