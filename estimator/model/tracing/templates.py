"""Outputs of a call like one seen before, made without asking torch for their shapes again.

For many operators torch works out the shapes in Python, which costs more than all the rest of a trace; a model repeats its layers.
"""

from typing import Any

import torch

META = torch.device("meta")
Layout = tuple[torch.Size, tuple[int, ...], torch.dtype]


class Templates:
    """Layouts of fresh outputs, by call."""

    def __init__(self) -> None:
        self._layouts: dict[Any, tuple[type, list[Layout]]] = {}

    def make(self, key: Any) -> Any:
        """New outputs of a known call, or None."""
        known = self._layouts.get(key)
        if known is None:
            return None
        kind, layouts = known
        made = [torch.empty_strided(shape, stride, dtype=dtype, device=META) for shape, stride, dtype in layouts]
        return made[0] if kind is torch.Tensor else kind(made)

    def learn(self, key: Any, out: Any, tensors: list[torch.Tensor]) -> None:
        """Remember the outputs of a call if all of them are fresh: one dense allocation each, shared with nothing."""
        outputs = list(out) if isinstance(out, (tuple, list)) else [out]
        if not outputs or not all(_dense(output) for output in outputs):
            return
        addresses = [tensor.untyped_storage()._cdata for tensor in (*outputs, *tensors)]
        if len(set(addresses[: len(outputs)])) == len(outputs) and not set(addresses[: len(outputs)]) & set(addresses[len(outputs) :]):
            kind = type(out) if isinstance(out, (tuple, list)) else torch.Tensor
            self._layouts[key] = kind, [(output.shape, output.stride(), output.dtype) for output in outputs]


def _dense(output: Any) -> bool:
    if not isinstance(output, torch.Tensor) or not output.is_meta or output.storage_offset() or output.is_conj() or output.is_neg():
        return False
    return output.untyped_storage().nbytes() == output.numel() * output.element_size()
