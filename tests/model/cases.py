"""Modules with matrix FLOP derived by hand: what a trace must count, in forward, backward and recomputation.

Multiply-add = 2 FLOP; masks counted dense. The backward of a product Y = X W is dX = dY Wᵀ and dW = Xᵀ dY: twice the forward,
once if X needs no gradient. Fused attention has two products forward and five backward, for it recomputes the scores.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention  # bound before any trace begins
from torch.utils.checkpoint import checkpoint


@dataclass(frozen=True)
class Case:
    """`build()` gives (module, inputs); `flop` holds expected matrix FLOP by phase; `options` go to `trace`."""

    name: str
    build: Callable[[], tuple[nn.Module, tuple]]
    flop: dict[str, int]
    options: dict[str, Any] = field(default_factory=lambda: {"backward": True})


class Calls(nn.Module):
    """A module whose forward is a function of the module and its inputs."""

    def __init__(self, function, **parts):
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, *args, **kwargs):
        return self.function(self, *args, **kwargs)


def empty(*shape, **options):
    return torch.empty(*shape, device="meta", **options)


def with_gradient(*shape):
    return empty(*shape, requires_grad=True)


def product(m, n, k):
    return 2 * m * n * k


D = 32
LINEAR = product(2 * 16, D, D)  # one D → D layer on 2 sequences of 16


def linear():
    return nn.Linear(D, D, bias=False)


def depthwise_separable():
    block = nn.Sequential(nn.Conv2d(32, 32, 3, padding=1, groups=32, bias=False), nn.Conv2d(32, 64, 1, bias=False))
    return block, (empty(1, 32, 56, 56),)


# 56² positions: a 3x3 filter for each of 32 channels, then a 32 → 64 product. The image needs no gradient: the depthwise
# layer has one backward product, the pointwise layer two.
DEPTHWISE, POINTWISE = 56**2 * 2 * 32 * 9, 56**2 * product(1, 64, 32)


def transposed_convolution():
    return nn.ConvTranspose2d(16, 32, 4, 2, 1, groups=2, bias=False), (with_gradient(2, 16, 8, 8),)


# 2 images, 8² input positions, each spread by a 4x4 filter from 16 channels to 32 / 2 of its group.
TRANSPOSED = 2 * 8**2 * product(1, 16, 16) * 4**2


def video_patches():
    return nn.Conv3d(3, 8, (2, 4, 4), stride=(2, 4, 4), bias=False), (with_gradient(2, 3, 4, 16, 16),)


PATCHES = product(2 * 2 * 4 * 4, 8, 3 * 2 * 4 * 4)  # 2 clips of 2 x 4 x 4 patches, each 3 x 2 x 4 x 4 numbers to 8


def einsum():
    parts = {"a": nn.Parameter(empty(D, 4)), "b": nn.Parameter(empty(4, D))}
    return Calls(lambda m, x: torch.einsum("bsd,dr,re->bse", x, m.a, m.b), **parts), (empty(2, 16, D),)


RANK = product(2 * 16, 4, D)  # to 4 numbers and back to D; the first product's input needs no gradient


def grouped_query_attention():
    def forward(_, query, key, value, mask):
        return scaled_dot_product_attention(query, key, value, attn_mask=mask, enable_gqa=True)

    tensors = with_gradient(2, 8, 64, 48), with_gradient(2, 2, 96, 48), with_gradient(2, 2, 96, 32)
    return Calls(forward), (*tensors, empty(64, 96, dtype=torch.bool))


# 8 query heads of 64 rows on 96 keys: scores over 48 numbers, output over 32. Backward: scores again, dQ, dK; dP, dV.
SCORES, VALUES = 2 * 8 * product(64, 96, 48), 2 * 8 * product(64, 96, 32)


def checkpointed(reentrant):
    layers = nn.Sequential(linear(), nn.Tanh(), linear(), nn.Tanh())
    model = Calls(lambda m, x: m.head(checkpoint(m.layers, x, use_reentrant=reentrant)), layers=layers, head=linear())
    return model, (with_gradient(2, 16, D),)


def checkpointed_alone():
    return Calls(lambda m, x: checkpoint(m.layer, x, use_reentrant=False), layer=linear()), (with_gradient(2, 16, D),)


def gradient_penalty():
    def forward(m, x):
        x = x.detach().requires_grad_()
        (slope,) = torch.autograd.grad(m.b(torch.tanh(m.a(x))).sum(), x, create_graph=True)
        return (slope.norm(2, -1) - 1).pow(2)

    return Calls(forward, a=linear(), b=nn.Linear(D, 1, bias=False)), (empty(2, D),)


# forward: x A (2·2·32·32 = 4096), h b (128). Inside it, the first gradient: dh = 1·bᵀ (128), dx = dt Aᵀ (4096). Afterwards the
# gradient of that gradient: through dx to A and dt (2·4096), through dh to b (128); then through tanh'(x A) to A and to x, by
# now a leaf of its own (2·4096); b's second product is linear, so it ends there.
PENALTY = {"forward": 4096 + 128, "backward": (128 + 4096) + (2 * 4096 + 128) + 2 * 4096}


def low_precision():
    def forward(_, a, b, c, d, scale):
        return torch._int_mm(a, b), torch._scaled_mm(c, d.t(), scale_a=scale, scale_b=scale, out_dtype=torch.bfloat16)

    ints = [empty(D, D, dtype=torch.int8) for _ in range(2)]
    floats = [empty(D, D, dtype=torch.float8_e4m3fn) for _ in range(2)]
    return Calls(forward), (*ints, *floats, empty(()))


def lstm():
    layers = nn.LSTM(128, 256, 2, batch_first=True)
    return Calls(lambda m, x: m.head(m.lstm(x)[0]), lstm=layers, head=nn.Linear(256, 10)), (empty(8, 32, 128),)


# 8·32 steps: 4 gates of 256 from 128 + 256 inputs, then from 256 + 256, then the head. In backward the data needs no gradient
# (one product less in layer one), nor does the zero state before the first step (one product of 8 rows less in each layer).
LSTM = 8 * 32 * (product(1, 1024, 128 + 256) + product(1, 1024, 256 + 256) + product(1, 10, 256))
LSTM_BACKWARD = 2 * LSTM - product(8 * 32, 1024, 128) - 2 * product(8, 1024, 256)


def packed_lstm():
    def forward(m, x, lengths):
        return m.lstm(nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True))[0].data

    return Calls(forward, lstm=nn.LSTM(8, 16, batch_first=True)), (empty(2, 16, 8), torch.tensor([16, 9]))


def complex_product():
    return Calls(lambda _, a, b: a @ b), tuple(empty(8, 8, dtype=torch.complex64) for _ in range(2))


def either_branch():
    def forward(m, x):
        return torch.cond(x.sum() > 0, lambda x: m.layer(m.layer(x)), lambda x: m.layer(x), (x,))

    return Calls(forward, layer=linear()), (empty(2, 16, D),)


FORWARD_ONLY = {"backward": False}
CHECKPOINTED = {"forward": 3 * LINEAR, "backward": 6 * LINEAR, "recompute": 2 * LINEAR}
CASES = (
    Case("depthwise-separable", depthwise_separable, {"forward": DEPTHWISE + POINTWISE, "backward": DEPTHWISE + 2 * POINTWISE}),
    Case("transposed convolution", transposed_convolution, {"forward": TRANSPOSED, "backward": 2 * TRANSPOSED}),
    Case("video patches", video_patches, {"forward": PATCHES, "backward": 2 * PATCHES}),
    Case("einsum", einsum, {"forward": 2 * RANK, "backward": 3 * RANK}),
    Case("grouped-query attention", grouped_query_attention, {"forward": SCORES + VALUES, "backward": 3 * SCORES + 2 * VALUES}),
    Case("checkpoint, reentrant", lambda: checkpointed(True), CHECKPOINTED),
    Case("checkpoint, non-reentrant", lambda: checkpointed(False), CHECKPOINTED),
    # the layer's input is all that backward needs, and that was never dropped
    Case("checkpoint of one layer", checkpointed_alone, {"forward": LINEAR, "backward": 2 * LINEAR}),
    Case("gradient penalty", gradient_penalty, PENALTY),
    Case("int8 and fp8", low_precision, {"forward": 2 * product(D, D, D)}, FORWARD_ONLY),
    Case("LSTM", lstm, {"forward": LSTM, "backward": LSTM_BACKWARD}),
    Case("packed LSTM", packed_lstm, {"forward": (16 + 9) * product(1, 4 * 16, 8 + 16)}, FORWARD_ONLY),
    # a complex multiply-add is 4 real ones
    Case("complex product", complex_product, {"forward": 4 * product(8, 8, 8)}, FORWARD_ONLY),
    Case("torch.cond takes the costlier branch", either_branch, {"forward": 2 * LINEAR}, FORWARD_ONLY),
)
