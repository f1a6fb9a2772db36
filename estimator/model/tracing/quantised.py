"""Layers of torch.ao.quantization whose weights are hidden in a script object: unpacked for their shape, run as plain operations."""

from typing import Any

import torch


def linear_dynamic(recorder: Any, func: Any, args: tuple, kwargs: dict) -> torch.Tensor:
    """Narrow the activations with a scale of their own, multiply in int8, scale the sums back and add the bias."""
    x, packed = args[:2]
    weight, bias = _unpacked(recorder, packed)
    recorder.note(f"int8 weight of {tuple(weight.shape)} in {recorder.attribution.stack[-1]!r} is no parameter of the module")
    with recorder:
        rows = x.reshape(-1, x.shape[-1])
        scale = rows.abs().amax()
        sums = torch._int_mm((rows / scale).round().to(torch.int8), weight.t())
        out = sums.to(x.dtype) * scale
        out = out if bias is None else out + bias
        return out.reshape(*x.shape[:-1], weight.shape[0])


def _unpacked(recorder: Any, packed: Any) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Weight and bias on meta, the same each time."""
    if packed not in recorder.unpacked:
        weight, bias = torch.ops.quantized.linear_unpack(packed)
        bias = None if bias is None else torch.empty_like(bias, device="meta")
        recorder.unpacked[packed] = torch.empty(weight.shape, dtype=torch.int8, device="meta"), bias
        recorder.storages.exempt(*(tensor for tensor in recorder.unpacked[packed] if tensor is not None))
    return recorder.unpacked[packed]
