"""Networks of published training measurements, traced forward, backward and through their own optimizer's step.

Each is traced at a few batch sizes and lifted, so every other batch size costs nothing. Weights are never made.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from importlib import import_module
from typing import Any

import torch
from torch import nn

from estimator.model.lift import lift
from estimator.model.tracing import trace
from estimator.model.work import Kernel
from estimator.validation.networks.recommender import neumf
from estimator.validation.networks.shufflenet import shufflenet
from estimator.validation.networks.speech import deepspeech2

SAMPLED, CHECKED = (5, 7), 11  # exact: any batch sizes do; two fix a straight line and a third checks it


@cache
def training_kernels(network: str, optimizer: str, tokens: int) -> tuple[Kernel, ...]:
    """Kernels of one eager training step as polynomials of `batch`; `tokens` in a sample where the network reads text."""
    kernels = lift([{"batch": size} for size in SAMPLED], [{"batch": CHECKED}], lambda batch: _step(network, optimizer, tokens, batch))
    return _counted(kernels)


def _counted(kernels: tuple[Kernel, ...]) -> tuple[Kernel, ...]:
    """Equal launches of one phase as one kernel with a count: time and energy add up, so where each stands does not matter."""
    counts: dict[Kernel, int] = {}
    for kernel in kernels:
        alike = replace(kernel, module="", count=1, layers=())
        counts[alike] = counts.get(alike, 0) + kernel.launches
    return tuple(replace(kernel, count=count) for kernel, count in counts.items())


def _step(network: str, optimizer: str, tokens: int, batch: int) -> tuple[Kernel, ...]:
    with torch.device("meta"):
        model, inputs = NETWORKS[network](batch, tokens)
    step = OPTIMIZERS[optimizer](model.parameters(), lr=1e-3)  # exact: the learning rate changes no work
    return trace(model, backward=True, optimizer=step, **inputs).kernels("eager")


def _bert(head: str) -> Callable[[int, int], tuple[nn.Module, dict[str, Any]]]:
    def build(batch: int, tokens: int) -> tuple[nn.Module, dict[str, Any]]:
        library: Any = import_module("transformers")
        model = getattr(library, head)(library.BertConfig(attn_implementation="eager"))
        targets = ("labels",) if "Sequence" in head else ("start_positions", "end_positions")
        return model, {"input_ids": _numbers(batch, tokens)} | {name: _numbers(batch) for name in targets}

    return build


def _numbers(*shape: int) -> torch.Tensor:
    return torch.empty(*shape, dtype=torch.long)


def _resnet(batch: int, tokens: int) -> tuple[nn.Module, dict[str, Any]]:
    library: Any = import_module("transformers")
    model = library.ResNetForImageClassification(library.ResNetConfig(num_labels=1000))  # exact: ImageNet's classes
    return model, {"pixel_values": torch.empty(batch, 3, 224, 224), "labels": _numbers(batch)}  # exact: its pictures


NETWORKS = {
    "deepspeech2 librispeech": deepspeech2,
    "ncf": neumf,
    "resnet50": _resnet,
    "shufflenetv2": shufflenet,
    "bert_base_uncased squad": _bert("BertForQuestionAnswering"),
    "bert_base_uncased sentiment140": _bert("BertForSequenceClassification"),
}
OPTIMIZERS = {"adadelta": torch.optim.Adadelta, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
