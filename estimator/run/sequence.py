"""One denoising pass cut over devices by the tokens of its latents: Ulysses (heads change places) and rings (keys go round).

Jacobs et al., DeepSpeed Ulysses, arXiv:2309.14509; Liu et al., Ring Attention, arXiv:2310.01889; both together: Fang and Zhao,
USP, arXiv:2405.07719. Of n = ulysses × ring devices each holds 1/n of the tokens of the image for everything but self-attention.
There, a group of `ulysses` devices exchanges tokens for heads and back, four tensors an attention, and keys and values pass
`ring - 1` times from one group to the next, each time with an attention to that part whose result is merged into what there is.
Text tokens stay on every device. Linear attention sums keys times values over all tokens, so libraries exchange the same tensors for it
(xDiT, attention_processor.py). A convolution that reaches over the edge of a device's rows needs one row of either neighbour, and
is computed on these apart (xDiT, conv.py).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from estimator.hardware.collective import collective, fastest_link
from estimator.hardware.schema import Profile
from estimator.model.work import Kernel, Signature, TensorSpec
from estimator.run.collective import Exchange

EXCHANGED, MOVED = 4, 8  # exact: query, key, value and output; each is copied into the order of its message and out of it
EDGES, EDGE_LAUNCHES = 2, 16  # exact: neighbours; stacking and copying a row, and four operations on it and a sum, for both (xDiT, conv.py)
MERGED = 6  # exact: difference, sigmoid, product and difference of the output; two of the normalisation (USP, section 3)


@dataclass(frozen=True, slots=True)
class Cut:
    """How many devices take heads, and how many pass keys around."""

    ulysses: int = 1
    ring: int = 1

    @property
    def devices(self) -> int:
        return self.ulysses * self.ring


def cut_kernels(whole: Sequence[Kernel], part: Sequence[Kernel], cut: Cut) -> Iterator[Kernel]:
    """Kernels of one device, given those of all tokens and of its share of them, in the same order."""
    for full, own in zip(whole, part, strict=True):
        if attends_to_itself(full, own):
            yield from _attention(full, own, cut)
        elif sums_over_tokens(full, own):
            yield replace(own, count=own.count * cut.ring)
            yield from _swaps(_queries(own), full, cut)
        else:
            yield own
            if reaches_over(full, own):
                yield _moving("aten.add", "pointwise", _edge(own), own.format, EDGE_LAUNCHES * full.launches)


def attends_to_itself(full: Kernel, own: Kernel) -> bool:
    """Whether keys are tokens of the image, so that a share of the image has fewer of them."""
    return full.kind == "attention" and _rows(full, "key") != _rows(own, "key")


def sums_over_tokens(full: Kernel, own: Kernel) -> bool:
    """Whether a batch of products sums over tokens of the image, as linear attention does."""
    return full.signatures[0].op == "aten.bmm" and _spec(full, "self").shape[-1] != _spec(own, "self").shape[-1]


def reaches_over(full: Kernel, own: Kernel) -> bool:
    """Whether a convolution of a share of the rows reads rows of its neighbours."""
    signature = full.signatures[0]
    if signature.op != "aten.convolution" or _rows(full, "input") == _rows(own, "input"):
        return False
    return signature["weight"].shape[-2] > signature["stride"][-2:][0]


def _attention(full: Kernel, own: Kernel, cut: Cut) -> Iterator[Kernel]:
    """Attention to all keys with a share of the queries or heads, and the copies and merges around it."""
    yield replace(_reshaped(full, cut), count=full.count * cut.ring)
    yield from _swaps(_spec(own, "query"), full, cut)
    if cut.ring > 1:
        yield _moving("aten.sub", "pointwise", _spec(own, "query"), "fp32", MERGED * (cut.ring - 1) * full.launches)


def _swaps(queries: TensorSpec, full: Kernel, cut: Cut) -> Iterator[Kernel]:
    """Copies into the order of messages and out of it."""
    if cut.ulysses > 1:
        yield _moving("aten.clone", "copy", queries, queries.format, MOVED * full.launches)


def _queries(own: Kernel) -> TensorSpec:
    """What one device holds of the queries of linear attention; they are exchanged before they are widened."""
    return replace(_spec(own, "mat2"), format="bf16")


def _edge(own: Kernel) -> TensorSpec:
    """One row of what a convolution reads."""
    *outer, _, width = _spec(own, "input").shape
    return replace(_spec(own, "input"), shape=(*outer, 1, width))


def _reshaped(kernel: Kernel, cut: Cut) -> Kernel:
    """Heads over the devices of one group, queries and keys over the ring."""
    signature = kernel.signatures[0]
    arguments = tuple((name, _share(value, cut) if name in ("query", "key", "value") else value) for name, value in signature.arguments)
    outputs = tuple(_share(spec, cut) for spec in signature.outputs)
    return replace(kernel, signatures=(replace(signature, arguments=arguments, outputs=outputs),), resident=())


def _share(spec: TensorSpec, cut: Cut) -> TensorSpec:
    batch, heads, rows, *width = spec.shape
    return replace(spec, shape=(batch, heads / cut.ulysses, rows / cut.ring, *width))


def _moving(op: str, kind: str, like: TensorSpec, number_format: str, count: float) -> Kernel:
    """An element-wise pass over a tensor of that size."""
    spec = TensorSpec((like.elements,), number_format)
    arguments: tuple[tuple[str, Any], ...] = (("self", spec),) if kind == "copy" else (("self", spec), ("other", spec), ("alpha", 1))
    return Kernel(op, kind, "forward", "denoiser", (Signature(op, arguments, (spec,)),), format=number_format, count=count)


def exchanges(whole: Sequence[Kernel], part: Sequence[Kernel], cut: Cut, profile: Profile) -> list[Exchange]:
    """What one device sends in one pass."""
    name, sent = fastest_link(profile), list[Exchange]()
    send = partial(collective, link=profile.links[name], name=name)
    for full, own in zip(whole, part, strict=True):
        if attends_to_itself(full, own) or sums_over_tokens(full, own):
            fused = full.kind == "attention"
            held = _spec(own, "query").bytes if fused else _queries(own).bytes
            keys = _spec(full, "key").bytes / cut.devices if fused else held
            sent.append(Exchange(send("all_to_all", held, ranks=cut.ulysses), launches=EXCHANGED * full.launches))
            sent.append(Exchange(send("point_to_point", 2 * keys, ranks=min(cut.ring, 2)), launches=(cut.ring - 1) * full.launches))
        elif reaches_over(full, own):
            sent.append(Exchange(send("point_to_point", _edge(own).bytes, ranks=2), launches=EDGES * full.launches))
    return [one for one in sent if one.collective.ranks > 1 and one.launches]


def _spec(kernel: Kernel, name: str) -> TensorSpec:
    return kernel.signatures[0][name]


def _rows(kernel: Kernel, name: str) -> Any:
    return _spec(kernel, name).shape[-2]
