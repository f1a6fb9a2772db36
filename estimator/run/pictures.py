"""Pictures and videos in a prompt: a vision tower looks at each of them once, and its tokens lengthen the prompt."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import gcd
from typing import Any, cast

from estimator.errors import InvalidSetting
from estimator.model.architecture import Architecture
from estimator.model.trace import Trace
from estimator.model.vision import Seen
from estimator.model.work import Kernel
from estimator.run.lengths import Lengths, lengths
from estimator.run.roles import heads_of
from estimator.run.shard import shard
from estimator.units import require_count

PICTURES = ("images", "image_height", "image_width", "frames")


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """What the prompt of each request shows: `images` of `image_height` x `image_width` pixels, videos where they have several `frames`."""

    images: int = 0
    image_height: int = 1024  # exact: a default that users change
    image_width: int = 1024  # exact: a default that users change
    frames: int = 1

    def __post_init__(self) -> None:
        for name in ("image_height", "image_width", "frames"):
            require_count(name, getattr(self, name))
        if self.images != 0:
            require_count("images", self.images)


def seen(model: Architecture, run: Pictures) -> Seen:
    """What the tower sees of one request. Raises `InvalidSetting` for a model without one."""
    if not run.images:
        return Seen(0, 0)
    if model.vision is None:
        raise InvalidSetting(f"images={run.images}: {model.name} has no vision tower here; leave them out, or choose a model that sees")
    one = model.vision.seen(run.image_height, run.image_width, run.frames)
    return Seen(run.images * one.pictures, one.tokens)


def shown(model: Architecture | Trace, run: Any) -> Any:
    """The run with the tokens of its pictures in its prompts; any other run as it is. Raises `InvalidSetting`."""
    if not isinstance(run, Pictures) or not run.images:
        return run
    if isinstance(model, Trace):
        raise InvalidSetting(f"images={run.images}: a trace has the sizes of its inputs; name a model that sees")
    more, longer = seen(model, run).prompt, cast(Any, run)
    given = longer.prompt_tokens
    return replace(longer, prompt_tokens=given + more if isinstance(given, int) else _longer(lengths(given), more))


def _longer(prompts: Lengths, more: float) -> Lengths:
    """Every prompt longer by as many tokens: the deviation stays as it is."""
    return Lengths(prompts.mean + more, prompts.spread * prompts.mean / (prompts.mean + more))


def looking(model: Architecture, run: Pictures, fusion: str, batch: float, tensor: int = 1) -> tuple[Kernel, ...]:
    """What each of `tensor` ranks does to look at the pictures of `batch` requests; no kernels where there are none.

    More ranks than can share the tower's heads look at the same.
    """
    found = seen(model, run)
    if not found.pictures or model.vision is None:
        return ()
    sizes, program = {"batch": batch * found.pictures, "tokens": found.tokens}, model.vision.program
    kernels = program.at(fusion, **{symbol: sizes[symbol] for symbol in program.symbols})
    heads = heads_of(kernels)
    return shard(kernels, gcd(tensor, heads.query) if heads else 1, hidden=width_of(kernels))


def width_of(kernels: Sequence[Kernel]) -> int:
    """Width of the tower's residual stream: its heads side by side."""
    heads = heads_of(kernels)
    return heads.query * heads.key_width if heads else 0


def picture_notes(model: Architecture, run: Pictures) -> list[str]:
    """What is taken for granted about pictures."""
    if not run.images or model.vision is None:
        return []
    found = seen(model, run)
    return [
        f"{found.prompt} tokens of each prompt are pictures: {found.pictures} of {found.tokens} tokens, each looked at once; the host "
        "decodes and scales them beside the device",
        f"vision tower {model.vision.name}: {model.vision.source} ({model.vision.status})",
    ]


def unshown(run: Any) -> set[str]:
    """Settings of pictures that a run does not use."""
    return set() if getattr(run, "images", 0) else set(PICTURES) if isinstance(run, Pictures) else set()
