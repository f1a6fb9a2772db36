"""Vision towers: traced by themselves at a few sizes of pictures, and lifted.

A grid of patches attends to itself alone, so that pictures of one size are a batch; tables of positions are as given, for the host
makes them. Towers that look at tiles of one size are in tiles.py.
"""

from collections.abc import Mapping
from typing import Any

import torch
import transformers

from estimator.model.build import zoo
from estimator.model.build.construct import on_meta
from estimator.model.build.sampling import lift_step
from estimator.model.build.steps import SAMPLES, Step
from estimator.model.build.tiles import LookAtTiles, see_tiles
from estimator.model.trace import Trace
from estimator.model.tracing import trace
from estimator.model.vision import Vision

SHAPES = ("source", "status", "side", "frames", "least", "most", "most_video", "tile", "tiles")
CORNERS = 4  # exact: neighbours in a plane between which positions are interpolated


class Look(torch.nn.Module):
    """The library's tower, looking at a batch of pictures of one size."""

    def __init__(self, visual: Any) -> None:
        super().__init__()
        self.visual: Any = visual

    def forward(self, pixels: torch.Tensor, places: torch.Tensor, shares: torch.Tensor, position: torch.Tensor, rows: int) -> Any:
        """Tokens of the pictures, and those that deeper layers of the language model add; `rows` patches make a picture."""
        visual = self.visual
        hidden = visual.patch_embed(pixels)
        hidden = hidden + (visual.pos_embed(places) * shares[:, :, None]).sum(1).to(hidden.dtype)
        turned = visual.rotary_pos_emb(hidden, position)
        deeper: list[torch.Tensor] = []
        for index, block in enumerate(visual.blocks):
            hidden = block(hidden, cu_seqlens=None, max_seqlen=rows, position_embeddings=turned)
            if index in visual.deepstack_visual_indexes:
                deeper.append(visual.deepstack_merger_list[len(deeper)](hidden))
        return visual.merger(hidden), deeper


def see(model: Look, batch: int, tokens: int) -> Trace:
    """A batch of pictures, each of so many tokens."""
    config, dtype = model.visual.config, model.visual.dtype
    rows = tokens * config.spatial_merge_size**2
    patch = config.in_channels * config.temporal_patch_size * config.patch_size**2
    empty = {"device": "meta", "dtype": dtype}
    return trace(
        model,
        pixels=torch.empty(batch * rows, patch, **empty),
        places=torch.empty(batch * rows, CORNERS, dtype=torch.long, device="meta"),
        shares=torch.empty(batch * rows, CORNERS, **empty),
        position=torch.empty(batch * rows, 2, dtype=torch.long, device="meta"),
        rows=rows,
        training=False,
    )


def tower(name: str, width: int, dtype: torch.dtype) -> Vision:
    """The tower of that name in configs/vision, putting out tokens of the language model's `width`."""
    table = zoo.tower(name)
    look, step = (_tiled if "tile" in table else _whole)(table, width, dtype)
    weights = list(look.parameters())
    return Vision(
        name=name,
        parameters=sum(weight.numel() for weight in weights),
        parameter_bytes=sum(weight.numel() * weight.element_size() for weight in weights),
        program=lift_step(look, "see", step).program,
        **{key: table[key] for key in SHAPES if key in table},
    )


def _whole(table: Mapping[str, Any], width: int, dtype: torch.dtype) -> tuple[torch.nn.Module, Step]:
    """A tower that looks at whole pictures, of any size."""
    made = getattr(transformers, table["model"])
    visual = on_meta(made, made.config_class(**table.get("config", {}), out_hidden_size=width), dtype)
    return Look(visual), Step(("batch", "tokens"), see, SAMPLES["inference"])


def _tiled(table: Mapping[str, Any], width: int, dtype: torch.dtype) -> tuple[torch.nn.Module, Step]:
    """A tower that looks at tiles of one size."""
    made = getattr(transformers, table["model"])
    visual = on_meta(made, made.config_class(**table.get("config", {}), image_size=table["tile"]), dtype)
    look = LookAtTiles(visual, table["side"] // visual.config.patch_size, table["projector"], width)
    return look, Step(("batch",), see_tiles, SAMPLES["inference"])
