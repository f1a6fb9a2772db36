"""ShuffleNet V2 (Ma et al., ECCV 2018) for small pictures."""

from typing import Any

import torch
from torch import nn


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


def shufflenet(batch: int, tokens: int) -> tuple[nn.Module, dict[str, Any]]:
    """The network and a batch of pictures."""
    pixels = torch.empty(batch, 3, 32, 32)  # exact: CIFAR's pictures
    return ShuffleNet(), {"pixels": pixels, "labels": torch.empty(batch, dtype=torch.long)}
