"""Published architectures on the meta device, built by transformers from their configurations."""

import torch
import transformers


def on_meta(cls, config, dtype=torch.float32):
    """The model in eval mode; weights have a shape and a dtype, nothing else."""
    with torch.device("meta"):
        return cls(config).to(dtype).eval()


def token_ids(batch, rows):
    return torch.empty(batch, rows, dtype=torch.long, device="meta")


def resnet50():
    return on_meta(transformers.ResNetForImageClassification, transformers.ResNetConfig(num_labels=1000))


def images(batch=1):
    return torch.empty(batch, 3, 224, 224, device="meta")


def gpt2(attention="sdpa"):
    return on_meta(transformers.GPT2LMHeadModel, transformers.GPT2Config(attn_implementation=attention))


def bert():
    return on_meta(transformers.BertForMaskedLM, transformers.BertConfig())


def llama(layers, **changes):
    """Llama-3.1-8B's widths with any number of layers."""
    sizes = {"hidden_size": 4096, "intermediate_size": 14336, "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128256}
    return on_meta(transformers.LlamaForCausalLM, transformers.LlamaConfig(num_hidden_layers=layers, **sizes | changes), torch.bfloat16)


def mixtral(experts="grouped_mm", dtype=torch.bfloat16):
    """Two layers, 4 experts of which 2 are active."""
    config = transformers.MixtralConfig(
        hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        num_local_experts=4, num_experts_per_tok=2, vocab_size=100, experts_implementation=experts,
    )  # fmt: skip
    return on_meta(transformers.MixtralForCausalLM, config, dtype)
