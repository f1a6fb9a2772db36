"""Vision towers that look at tiles of one size: an encoder of patches, whose neighbours are joined and projected to tokens."""

from typing import Any

import torch

from estimator.model.trace import Trace
from estimator.model.tracing import trace


class SquaredReLU(torch.nn.Module):
    """The positive part, squared (So et al., Primer, arXiv:2109.08668)."""

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        """Of each element."""
        return torch.relu(given).square()


class LookAtTiles(torch.nn.Module):
    """The library's encoder, and the projection of squares of `joined` x `joined` patches to tokens of a language model's `width`."""

    def __init__(self, visual: Any, joined: int, projector: int, width: int) -> None:
        super().__init__()
        self.visual: Any = visual
        self.joined = joined
        for layer in visual.encoder.layer:  # its scales of layers are ones, which the published model has not
            layer.layer_scale1 = layer.layer_scale2 = torch.nn.Identity()
        inner, given = joined**2 * visual.config.hidden_size, {"device": "meta", "dtype": visual.dtype}
        up = torch.nn.Linear(inner, projector, bias=False, **given)
        down = torch.nn.Linear(projector, width, bias=False, **given)
        self.projector = torch.nn.Sequential(torch.nn.RMSNorm(inner, **given), up, SquaredReLU(), down)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Tokens of a batch of tiles."""
        hidden = self.visual.embeddings(pixels)
        for layer in self.visual.encoder.layer:
            hidden = layer(hidden)
        patches = hidden[:, self.visual.config.num_summary_tokens :]
        side, near = pixels.shape[-1] // self.visual.config.patch_size // self.joined, self.joined
        grid = patches.reshape(len(pixels), side, near, side, near, -1).transpose(2, 3)  # exact: axes; squares, then patches within
        return self.projector(grid.reshape(len(pixels), side * side, -1))


def see_tiles(model: LookAtTiles, batch: int) -> Trace:
    """A batch of tiles."""
    config = model.visual.config
    side = config.image_size
    pixels = torch.empty(batch, config.num_channels, side, side, dtype=model.visual.dtype, device="meta")
    return trace(model, pixels, training=False)
