"""The "fused" kernels beside the schedule of torch's own compiler, Inductor: launches and bytes of the same models, as a table.

Inductor schedules for the CPU and stops before it generates code; its layout changes for CPU convolutions are switched off.
Bytes are those of its own dependencies, each buffer at most once per kernel; of a slice or a gather only what is read.
Targets: transformers within 12 %, convolutional networks within 20 % of the total bytes. The models in HELD_OUT are never looked
at while the rule changes.

    python benchmarks/inductor.py [NAME …]
"""

import sys
from collections import defaultdict
from math import prod
from statistics import mean

import torch
import transformers
from tabulate import tabulate
from torch._inductor import config as inductor
from torch._inductor import ir
from torch._inductor.graph import GraphLowering
from torch._inductor.scheduler import ExternKernelSchedulerNode, NopKernelSchedulerNode
from torch._inductor.virtualized import V

from estimator.model.fusion import kernels
from estimator.model.rules import work_of
from estimator.model.rules.registry import FUSING_KINDS
from estimator.model.tracing import trace

ATTENTION = "plain"
BACKEND = {"cpu_backend": "triton", "force_pointwise_cat": True}
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
    "mobilenet-v2": (IMAGE, transformers.MobileNetV2ForImageClassification, transformers.MobileNetV2Config(num_labels=1000, classifier_dropout_prob=0.0)),
}  # fmt: skip
HELD_OUT = {
    "gemma-3": (TEXT, transformers.Gemma3ForCausalLM, transformers.Gemma3TextConfig(**LLAMA, head_dim=64)),
    "opt": (TEXT, transformers.OPTForCausalLM, transformers.OPTConfig(
        num_hidden_layers=2, hidden_size=1024, ffn_dim=4096, num_attention_heads=16, vocab_size=32000, word_embed_proj_dim=1024)),
    "whisper": (SPEECH, transformers.WhisperForConditionalGeneration, transformers.WhisperConfig(**WHISPER)),
    "convnext": (IMAGE, transformers.ConvNextForImageClassification, transformers.ConvNextConfig(num_labels=1000)),
}  # fmt: skip
CONVOLUTIONAL = ("resnet-50", "mobilenet-v2", "convnext")


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


class Scheduled(Exception):
    """Inductor has scheduled the last graph."""


def schedule(name, training):
    """Inductor's kernels of a model: (library or fused, bytes) for each, forward and, in training, backward."""
    step, inputs = build(name, training, "cpu")
    found, graphs = [], []

    def record(graph):
        graph.init_wrapper_code()
        graph._update_scheduler()
        with V.set_graph_handler(graph):
            found.extend(entry for node in graph.scheduler.nodes for entry in measure(node))
        graphs.append(graph)
        if len(graphs) == 1 + training:
            raise Scheduled
        return type("Compiled", (), {"call": None, "__file__": "", "key": ""})

    torch._dynamo.reset()
    options = {"layout_optimization": False, "force_disable_caches": True, "compile_threads": 1, **BACKEND}
    original, GraphLowering.compile_to_module = GraphLowering.compile_to_module, record
    try:
        with inductor.patch(options), torch._functorch.config.patch(force_non_lazy_backward_lowering=True), torch.set_grad_enabled(training):
            torch.compile(step, fullgraph=True)(**inputs)
    except Exception as error:
        if not isinstance(error, Scheduled) and "Scheduled" not in str(error):
            raise
    finally:
        GraphLowering.compile_to_module = original
    assert len(graphs) == 1 + training, f"{name}: {len(graphs)} graphs"
    return found


def measure(node):
    """Kind and bytes of one kernel of the schedule; nothing for what launches none."""
    if isinstance(node, NopKernelSchedulerNode) or isinstance(node.node, ir.MultiOutput):
        return
    library = isinstance(node, ExternKernelSchedulerNode)
    yield "library" if library else "fused", (library_bytes if library else fused_bytes)(node), node


def library_bytes(node):
    """Every operand and every result once."""
    kernel = node.node
    parts = defaultdict(list)
    for tensor in kernel.inputs:
        for one in tensor if isinstance(tensor, (list, tuple)) else [tensor]:
            parts[one.get_name()].append(size_of(one))
    reads = sum(min(sum(sizes), whole(name)) for name, sizes in parts.items())
    if isinstance(kernel.layout, ir.MultiOutputLayout):
        outputs = [buffer.node for user in node.outputs[0].users if user.node.get_outputs() for buffer in user.node.get_outputs()]
        return reads + sum(size_of(output) for output in outputs if isinstance(output, ir.MultiOutput))
    if isinstance(kernel.layout, ir.NoneLayout):
        return reads + sum(whole(name) for name in kernel.get_mutation_names())
    return reads + size_of(kernel)


def fused_bytes(node):
    """What the kernel loads from outside and what others load of its results."""
    nodes = set(node.get_nodes())
    kept = {dep.name for dep in node.read_writes.writes if any(user.node not in nodes for user in V.graph.scheduler.name_to_buf[dep.name].users)}
    total = 0
    for deps, names in ((node.read_writes.reads, None), (node.read_writes.writes, kept)):
        parts = defaultdict(int)
        for dep in deps:
            if hasattr(dep, "size") and (names is None or dep.name in names):
                parts[dep.name] += touched(dep)
        total += sum(min(size, whole(name)) for name, size in parts.items())
    return total


def touched(dep):
    """Bytes of the distinct elements that one access names; of a table, as many as are picked."""
    index = dep.index.free_symbols
    sizes = dep.size if dep.is_indirect() else [size for name, size in zip(dep.var_names, dep.size) if name in index]
    return prod(int(size) for size in sizes) * V.graph.get_dtype(dep.name).itemsize


def whole(name):
    """Bytes of a buffer."""
    return int(V.graph.get_numel(name)) * V.graph.get_dtype(name).itemsize


def size_of(tensor):
    """Bytes of a tensor or view."""
    return prod(map(int, tensor.get_size())) * tensor.get_dtype().itemsize


def ours(name, training):
    """(library or fused, bytes) of the traced model's launches."""
    step, inputs = build(name, training, "meta")
    found = []
    for kernel in kernels(trace(step, backward=training, **inputs), "fused"):
        work = work_of(kernel)
        kind = "fused" if kernel.kind in FUSING_KINDS else "library"
        found += [(kind, work.read + work.write, kernel)] * kernel.launches
    return found


def compare(name, training):
    """One row: launches and bytes of both, by kind, and how far the bytes are apart."""
    theirs, mine = schedule(name, training), ours(name, training)
    row = [name, "training" if training else "inference"]
    for kind in ("library", "fused"):
        a, b = ([bytes for found, bytes, _ in side if found == kind] for side in (mine, theirs))
        row += [f"{len(a)} / {len(b)}", f"{sum(a) / 1e6:.1f} / {sum(b) / 1e6:.1f}"]
    return [*row, sum(bytes for _, bytes, _ in mine) / sum(bytes for _, bytes, _ in theirs) - 1]


def main():
    """Print both groups of models."""
    header = ["model", "run", "library launches", "library MB", "fused launches", "fused MB", "bytes"]
    for title, group in (("rule written on", RULE_WRITTEN_ON), ("held out", HELD_OUT)):
        names = [name for name in group if name in (sys.argv[1:] or group)]
        if names:
            rows = [compare(name, training) for name in names for training in (False, True)]
            print(f"{title} (ours / Inductor)")
            print(tabulate([[*row[:-1], f"{row[-1]:+.1%}"] for row in rows], header))
            print(f"mean distance {mean(abs(row[-1]) for row in rows):.1%}\n", flush=True)


if __name__ == "__main__":
    main()
