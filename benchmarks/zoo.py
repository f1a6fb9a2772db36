"""Cost of tracing published architectures, forward and backward on meta, beside torch's own counter on the same model in the same run.

Targets: a trace costs at most 1.3 times the counter for every model, and the time of each operation of a long model is that of
a short one within the same factor. The two alternate, so that a busy machine slows both; medians and their ratio are printed.
"""

import time
from statistics import median

import torch
import transformers as hf
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from estimator.model.tracing import trace

TARGET = 1.3
ROUNDS = 5
LENGTHS = (1_000, 10_000)
IDS = {"input_ids": (1, 512)}
# transformers' defaults are the published sizes, except where a name says otherwise
ZOO = {
    "gpt2": (hf.GPT2LMHeadModel, hf.GPT2Config, {}, IDS),
    "bert-base": (hf.BertForMaskedLM, hf.BertConfig, {}, IDS),
    "t5-small": (hf.T5ForConditionalGeneration, hf.T5Config, {}, {**IDS, "decoder_input_ids": (1, 128)}),
    "llama-3.1-8b": (
        hf.LlamaForCausalLM, hf.LlamaConfig,
        {"hidden_size": 4096, "intermediate_size": 14336, "num_key_value_heads": 8, "vocab_size": 128256}, IDS,
    ),
    "mixtral-8x7b": (hf.MixtralForCausalLM, hf.MixtralConfig, {}, IDS),
    "qwen3-30b-a3b": (
        hf.Qwen3MoeForCausalLM, hf.Qwen3MoeConfig, {"num_hidden_layers": 48, "head_dim": 128, "moe_intermediate_size": 768}, IDS,
    ),
    "deepseek-v3": (hf.DeepseekV3ForCausalLM, hf.DeepseekV3Config, {}, IDS),
    "whisper-small": (
        hf.WhisperForConditionalGeneration, hf.WhisperConfig, {"d_model": 768, "encoder_layers": 12, "decoder_layers": 12},
        {"input_features": (1, 80, 3000), "decoder_input_ids": (1, 448)},
    ),
    "vit-base": (hf.ViTForImageClassification, hf.ViTConfig, {}, {"pixel_values": (1, 3, 224, 224)}),
    "resnet-50": (hf.ResNetForImageClassification, hf.ResNetConfig, {}, {"pixel_values": (1, 3, 224, 224)}),
}  # fmt: skip


def build(name):
    """A model in bf16 on meta and its inputs."""
    model_class, config_class, settings, shapes = ZOO[name]
    with torch.device("meta"):
        model = model_class(config_class(**settings)).bfloat16().eval()
        kinds = {key: torch.long if key.endswith("ids") else torch.bfloat16 for key in shapes}
        return model, {key: torch.empty(shape, dtype=kinds[key]) for key, shape in shapes.items()}


def counted(model, inputs):
    """Forward and backward under torch's counter."""
    with FlopCounterMode(display=False):
        output = model(**inputs)
        output.logits.sum().backward()
    model.zero_grad()


def traced(model, inputs):
    """The same as a trace."""
    trace(model, backward=True, loss=lambda output: output.logits.sum(), **inputs)


def seconds(run, *arguments):
    """Processor time of one call, which other processes do not lengthen."""
    start = time.process_time()
    run(*arguments)
    return time.process_time() - start


def compare(name):
    """Median seconds of counter and trace; the first round pays for lazy imports and is left out."""
    model, inputs = build(name)
    rounds = [(seconds(counted, model, inputs), seconds(traced, model, inputs)) for _ in range(ROUNDS + 1)][1:]
    return tuple(median(column) for column in zip(*rounds))


class Chain(nn.Module):
    """A model of so many operations, a quarter of them products."""

    def __init__(self, operations):
        super().__init__()
        self.weight, self.repeats = nn.Parameter(torch.empty(64, 64, device="meta")), operations // 4

    def forward(self, x):
        for _ in range(self.repeats):
            x = torch.tanh(x @ self.weight) * 2 + x
        return x


def per_operation():
    """Median microseconds for each recorded operation of a short and a long model, traced in turn."""
    models = [Chain(length) for length in LENGTHS]
    x = torch.empty(8, 64, device="meta")
    calls = [len(trace(model, x, backward=True).calls) for model in models]
    rounds = [[seconds(lambda m=m: trace(m, x, backward=True)) for m in models] for _ in range(ROUNDS)]
    return [1e6 * median(column) / count for column, count in zip(zip(*rounds), calls)]


def main():
    """One line for each model, then the long one; the exit code says whether every target was met."""
    missed = []
    for name in ZOO:
        counter, ours = compare(name)
        print(f"{name:15s} counter {counter:6.3f} s, trace {ours:6.3f} s, ratio {ours / counter:.2f} (target {TARGET})", flush=True)
        missed += [name] if ours > TARGET * counter else []
    short, long = per_operation()
    lengths = f"{LENGTHS[0]:,} and {LENGTHS[1]:,} forward operations"
    print(f"{lengths}: {short:.0f} and {long:.0f} µs each, ratio {long / short:.2f} (target {TARGET})")
    missed += ["linear growth"] if long > TARGET * short else []
    print("missed: " + ", ".join(missed) if missed else "every target met")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
