"""Cost of a trace beside torch's own FLOP counter on the same meta model, alternating in one process; medians and their ratio.

Targets: GPT-2 forward + backward at most 2 times the counter; Llama-3.1-405B forward + backward + AdamW at most 3 times the
counter's forward + backward, in less than 1 GB of resident memory (measured in a process of its own).
"""

import resource
import subprocess
import sys
import time
from statistics import median

import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from estimator.model.tracing import trace

LLAMA_405B = {
    "hidden_size": 16384, "intermediate_size": 53248, "num_hidden_layers": 126, "num_attention_heads": 128, "num_key_value_heads": 8,
    "vocab_size": 128256,
}  # fmt: skip
ROUNDS = {"gpt-2": 9, "llama-405b": 3}
OPTIMIZER = {"gpt-2": None, "llama-405b": "adamw"}
TARGET = {"gpt-2": 2.0, "llama-405b": 3.0}


def build(name):
    """A model on meta in eval mode, and token ids for it."""
    with torch.device("meta"):
        model = GPT2LMHeadModel(GPT2Config()) if name == "gpt-2" else LlamaForCausalLM(LlamaConfig(**LLAMA_405B)).bfloat16()
        return model.eval(), torch.empty(1, 1024, dtype=torch.long)


def counted(name, model, ids):
    """Forward and backward under torch's counter."""
    with FlopCounterMode(display=False) as counter:
        model(ids).logits.sum().backward()
    model.zero_grad()
    return counter.get_total_flops()


def traced(name, model, ids):
    """Forward, backward and, for the large model, the optimizer step as a trace."""
    return trace(model, ids, backward=True, optimizer=OPTIMIZER[name]).matmul_flop


def compare(name):
    """One line: median seconds of both and their ratio."""
    model, ids = build(name)
    seconds = {counted: [], traced: []}
    for _ in range(ROUNDS[name] + 1):
        for run, times in seconds.items():
            start = time.perf_counter()
            run(name, model, ids)
            times.append(time.perf_counter() - start)
    counter, ours = (median(times[1:]) for times in seconds.values())  # the first round pays for torch's lazy imports
    first = " and ".join(f"{times[0]:.2f} s" for times in seconds.values())
    return f"{name}: counter {counter:.3f} s, trace {ours:.3f} s, ratio {ours / counter:.2f} (target {TARGET[name]:g}); first runs {first}"


def peak_memory(name):
    """Peak resident bytes of a process that builds and traces one model."""
    done = subprocess.run([sys.executable, __file__, name], capture_output=True, text=True, check=True)
    return float(done.stdout)


def main():
    """Print every comparison; with a model's name, the peak memory of tracing it."""
    if len(sys.argv) > 1:
        traced(sys.argv[1], *build(sys.argv[1]))
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
        return
    for name in TARGET:
        print(compare(name), f"peak {peak_memory(name) / 1e9:.2f} GB", sep="; ", flush=True)


if __name__ == "__main__":
    main()
