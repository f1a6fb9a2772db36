"""Cost of tracing the largest training steps beside torch's own FLOP counter on the same meta model, alternating in one process.

The trace has forward, backward and an AdamW step, the counter forward and backward. Targets: at most 1.4 times the counter, in
less than 0.6 GB of resident memory (measured in a process of its own). Seconds are those of the processor, medians of the
rounds after the first, which pays for torch's lazy imports.
"""

import resource
import subprocess
import sys
import time
from statistics import median

import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import DeepseekV3Config, DeepseekV3ForCausalLM, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from estimator.model.tracing import trace

LLAMA_405B = {
    "hidden_size": 16384, "intermediate_size": 53248, "num_hidden_layers": 126, "num_attention_heads": 128, "num_key_value_heads": 8,
    "vocab_size": 128256,
}  # fmt: skip
MODELS = {
    "gpt2": (GPT2LMHeadModel, GPT2Config, {}),
    "llama-3.1-405b": (LlamaForCausalLM, LlamaConfig, LLAMA_405B),
    "deepseek-v3": (DeepseekV3ForCausalLM, DeepseekV3Config, {}),
}
ROUNDS = 3
RATIO, MEMORY = 1.4, 0.6e9


def build(name):
    """A model on meta in eval mode, and token ids for it."""
    model_class, config_class, sizes = MODELS[name]
    with torch.device("meta"):
        return model_class(config_class(**sizes)).bfloat16().eval(), torch.empty(1, 1024, dtype=torch.long)


def counted(model, ids):
    """Forward and backward under torch's counter."""
    with FlopCounterMode(display=False) as counter:
        model(ids).logits.sum().backward()
    model.zero_grad()
    return counter.get_total_flops()


def traced(model, ids):
    """Forward, backward and the optimizer step as a trace."""
    return trace(model, ids, backward=True, optimizer="adamw", loss=lambda output: output.logits.sum()).matmul_flop


def compare(name):
    """Median seconds of both."""
    model, ids = build(name)
    seconds = {counted: [], traced: []}
    for _ in range(ROUNDS + 1):
        for run, times in seconds.items():
            start = time.process_time()
            run(model, ids)
            times.append(time.process_time() - start)
    return [median(times[1:]) for times in seconds.values()]


def peak_memory(name):
    """Peak resident bytes of a process that builds and traces one model."""
    done = subprocess.run([sys.executable, __file__, name], capture_output=True, text=True, check=True)
    return float(done.stdout.splitlines()[-1])


def main():
    """Print every comparison, the exit code says whether all targets were met; with a model's name, the peak memory of tracing it."""
    if len(sys.argv) > 1:
        traced(*build(sys.argv[1]))
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
        return 0
    missed = []
    for name in MODELS:
        (counter, ours), peak = compare(name), peak_memory(name)
        print(f"{name:15s} counter {counter:.2f} s, trace {ours:.2f} s, ratio {ours / counter:.2f} (target {RATIO}); ", end="")
        print(f"peak {peak / 1e9:.2f} GB (target {MEMORY / 1e9})", flush=True)
        missed += [name] if ours > RATIO * counter or peak > MEMORY else []
    print("missed: " + ", ".join(missed) if missed else "every target met")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
