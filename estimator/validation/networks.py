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


class Unit(nn.Module):
    """A ShuffleNet V2 unit (Ma et al., ECCV 2018, figure 3): a branch on half the channels, or two branches and a stride."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.split = stride == 1 and inputs == outputs
        half = outputs // 2
        self.residual = self._branch(half if self.split else inputs, half, stride, pointwise=True)
        self.shortcut = nn.Sequential() if self.split else self._branch(inputs, half, stride, pointwise=False)

    @staticmethod
    def _branch(inputs: int, outputs: int, stride: int, pointwise: bool) -> nn.Sequential:
        first = [nn.Conv2d(inputs, inputs, 1), nn.BatchNorm2d(inputs), nn.ReLU()] if pointwise else []
        middle = [nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs), nn.BatchNorm2d(inputs)]  # exact: 3 × 3, as published
        return nn.Sequential(*first, *middle, nn.Conv2d(inputs, outputs, 1), nn.BatchNorm2d(outputs), nn.ReLU())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Concatenate both halves and shuffle their channels."""
        kept, changed = x.chunk(2, 1) if self.split else (x, x)
        y = torch.cat((self.shortcut(kept), self.residual(changed)), 1)
        batch, channels, height, width = y.shape
        return y.view(batch, 2, channels // 2, height, width).transpose(1, 2).reshape(batch, channels, height, width)


class ShuffleNet(nn.Module):
    """ShuffleNet V2 1× with the stride of its stem left out, as is usual for pictures of 32 × 32 (CIFAR-100)."""

    def __init__(self) -> None:
        super().__init__()
        widths, repeats = (24, 116, 232, 464), (3, 7, 3)  # exact: table 5 of the paper, 1×
        layers: list[nn.Module] = [nn.Conv2d(3, widths[0], 1), nn.BatchNorm2d(widths[0]), nn.ReLU()]  # exact: three colours
        for inputs, outputs, count in zip(widths, widths[1:], repeats):
            layers += [Unit(inputs, outputs, 2), *(Unit(outputs, outputs, 1) for _ in range(count))]
        layers += [nn.Conv2d(widths[-1], 1024, 1), nn.BatchNorm2d(1024), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]  # exact: ditto
        self.layers = nn.Sequential(*layers)
        self.classes = nn.Linear(1024, 100)  # exact: CIFAR-100's classes

    def forward(self, pixels: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Cross entropy of the classes."""
        return nn.functional.cross_entropy(self.classes(self.layers(pixels)), labels)


def _shufflenet(batch: int, tokens: int) -> tuple[nn.Module, dict[str, Any]]:
    return ShuffleNet(), {"pixels": torch.empty(batch, 3, 32, 32), "labels": _numbers(batch)}  # exact: CIFAR's pictures


NETWORKS = {
    "resnet50": _resnet,
    "shufflenetv2": _shufflenet,
    "bert_base_uncased squad": _bert("BertForQuestionAnswering"),
    "bert_base_uncased sentiment140": _bert("BertForSequenceClassification"),
}
OPTIMIZERS = {"adadelta": torch.optim.Adadelta, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
