"""A trace on meta holds exactly the operations that the same model runs on real tensors, in the same order."""

import pytest
import torch
import transformers
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from estimator.model.tracing import trace


class RealRun(TorchDispatchMode):
    """(operator, shape of the first output) of all that allocates or writes."""

    def __init__(self):
        super().__init__()
        self.ops = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        name = func._schema.name.replace("::", ".")
        tensors = [t for t in (out if isinstance(out, (tuple, list)) else [out]) if isinstance(t, torch.Tensor)]
        known = {a.untyped_storage()._cdata for a in args if isinstance(a, torch.Tensor)}
        if not name.startswith("aten.empty") and (func._schema.is_mutable or any(t.untyped_storage()._cdata not in known for t in tensors)):
            self.ops.append((name, tuple(tensors[0].shape)))
        return out


def tiny_gpt2():
    config = transformers.GPT2Config(n_embd=16, n_layer=2, n_head=2, n_positions=32, vocab_size=50, attn_implementation="eager")
    return transformers.GPT2LMHeadModel(config), torch.randint(0, 50, (2, 7))


def tiny_bert():
    config = transformers.BertConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, vocab_size=50, attn_implementation="eager"
    )
    return transformers.BertForMaskedLM(config), torch.randint(0, 50, (2, 7))


def convolutions():
    layers = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Dropout(), nn.Flatten(), nn.Linear(36, 5)
    return nn.Sequential(*layers), torch.randn(2, 3, 8, 8)


def total(output):
    return (output.logits if hasattr(output, "logits") else output).sum()


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("build", [tiny_gpt2, tiny_bert, convolutions])
def test_operations_and_shapes_are_those_of_a_real_run(build, training):
    model, x = build()
    model.train(training)
    traced = trace(model, x, backward=True, loss=total)
    with RealRun() as real:
        total(model(x)).backward()
    signatures = [traced.signatures[call.signature] for call in traced.calls]
    assert [(s.op, s.outputs[0].shape) for s in signatures] == real.ops
