"""What looks at pictures for a language model: a tower of its own, whose tokens take their place in the prompt."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from math import ceil, floor, sqrt
from typing import Any, NamedTuple

from estimator.model.program import Program


class Seen(NamedTuple):
    """What a picture or a video comes down to: how many grids the tower looks at, and the tokens of each."""

    pictures: int
    tokens: int

    @property
    def prompt(self) -> int:
        """Tokens in the prompt."""
        return self.pictures * self.tokens


@dataclass(frozen=True, slots=True)
class Vision:
    """A vision tower: `program` looks at a `batch` of pictures of `tokens` tokens each, every one by itself.

    A token is a square of `side` pixels in `frames` frames of a video. A picture is scaled to `least` … `most` pixels, a video until
    all its frames together have at most `most_video`. Where there is a `tile`, a picture is cut into up to `tiles` squares of so many
    pixels instead, which with one of the whole picture are looked at each by itself; a frame is one square.
    """

    name: str
    source: str
    status: str
    parameters: int
    parameter_bytes: float
    program: Program
    side: int
    frames: int
    least: int = 0
    most: int = 0
    most_video: int = 0
    tile: int = 0
    tiles: int = 0

    def seen(self, height: int, width: int, frames: int = 1) -> Seen:
        """What is seen of `frames` frames of that size in pixels: the sides rounded to whole tokens, then scaled into the bounds."""
        if self.tile:
            whole = self._cut(height, width) if frames == 1 else frames
            return Seen(whole + 1 if frames == 1 < whole else whole, (self.tile // self.side) ** 2)
        grids = ceil(frames / self.frames)
        deep, most = (1, self.most) if frames == 1 else (grids * self.frames, self.most_video)
        tokens = self._tokens(height, width, 1.0, round)
        if deep * tokens * self.side**2 > most:
            tokens = self._tokens(height, width, sqrt(most / (deep * height * width)), floor)
        elif frames == 1 and tokens * self.side**2 < self.least:
            tokens = self._tokens(height, width, sqrt(self.least / (height * width)), ceil)
        return Seen(grids, tokens)

    def _tokens(self, height: int, width: int, scale: float, whole: Callable[[float], int]) -> int:
        """Tokens of a picture whose scaled sides are made whole tokens, at least one."""
        return max(whole(height * scale / self.side), 1) * max(whole(width * scale / self.side), 1)

    def _cut(self, height: int, width: int) -> int:
        """Tiles of a picture: of the grids with its proportions, or those nearest to them, the largest that it fills by half.

        Chen et al., How far are we to GPT-4V? (InternVL 1.5), arXiv:2404.16821, section 3.3, as serving engines do it.
        """
        every = range(1, self.tiles + 1)
        grids = [(columns, rows) for columns in every for rows in every if columns * rows <= self.tiles]
        off = {grid: abs(width / height - grid[0] / grid[1]) for grid in grids}
        near = sorted(columns * rows for columns, rows in grids if off[columns, rows] == min(off.values()))
        return max([tiles for tiles in near if height * width > tiles * self.tile**2 / 2], default=near[0])

    def to_json(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {field.name: getattr(self, field.name) for field in fields(self)} | {"program": self.program.to_json()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Vision":
        """The tower that `to_json` wrote."""
        return cls(**{**data, "program": Program.from_json(data["program"])})
