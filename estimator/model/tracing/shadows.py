"""Values of small tensors that do not depend on weights or activations: masks, positions, token ids, lengths, loop counters.

A meta tensor has no values, yet models branch on some. Beside its storage such a tensor keeps a real one on the host; since
shadows belong to storages, views share them and in-place operations reach them. What depends on weights has none.
"""

from typing import Any

import torch
from torch.utils._pytree import tree_map

from estimator.model.tracing.operators import Operator
from estimator.model.tracing.signatures import tensors_in
from estimator.model.tracing.storages import Storages

LARGEST_BYTES = 2**25
LARGEST_FLOATING = 2**12  # bytes; larger floating-point constants are zeros or noise, nothing to branch on
HOST = torch.device("cpu")


class Shadows:
    """Known values, kept in the `shadow` field of storage entries."""

    def __init__(self, storages: Storages) -> None:
        self._storages = storages

    def get(self, tensor: torch.Tensor) -> torch.Tensor | None:
        """The values of a tensor, if known; a real tensor is its own shadow."""
        if not tensor.is_meta:
            return tensor
        base = self._storages.of(tensor).shadow
        if base is None:
            return None
        if base.dtype != tensor.dtype:
            base = base.view(tensor.dtype)
        return base.as_strided(tensor.shape, tensor.stride(), tensor.storage_offset())

    def set(self, tensor: torch.Tensor, values: torch.Tensor | None) -> None:
        """Remember a copy of the values of a meta tensor; None, or values too large to keep, forgets them."""
        entry = self._storages.of(tensor)
        size = tensor.untyped_storage().nbytes()
        entry.shadow = None
        if values is not None and 0 < size <= LARGEST_BYTES:
            entry.shadow = torch.empty(size // tensor.element_size(), dtype=tensor.dtype)
            entry.shadow.as_strided(tensor.shape, tensor.stride(), tensor.storage_offset()).copy_(values)

    def known(self, tensors: list[torch.Tensor]) -> bool:
        """Whether the values of all tensors are known."""
        return all(not tensor.is_meta or self._storages.of(tensor).shadow is not None for tensor in tensors)

    def keep(self, tensor: torch.Tensor, original: torch.Tensor) -> None:
        """Keep the values of a real integer, boolean or single number that a model or its caller holds, for its stand-in."""
        if type(original) not in (torch.Tensor, torch.nn.Buffer) or original.is_meta:
            return
        if not original.dim() or not (original.is_floating_point() or original.is_complex()):
            self.set(tensor, original.detach())

    def create(self, op: Operator, func: Any, args: tuple, kwargs: dict) -> Any:
        """Make a constant; on meta the values of integers, booleans and a few floats are kept."""
        out = func(*args, **kwargs)
        if isinstance(out, torch.Tensor) and out.is_meta and not op.random:
            limit = LARGEST_FLOATING if out.is_floating_point() or out.is_complex() else LARGEST_BYTES
            if out.numel() * out.element_size() <= limit:
                self.set(out, func(*args, **{**kwargs, "device": HOST}))
        return out

    def compute(self, op: Operator, func: Any, args: tuple, kwargs: dict) -> Any:
        """Run an operation whose inputs are known on meta and on the values; what it returns stays known."""
        try:
            values = func(*tree_map(self._real, args), **tree_map(self._real, kwargs))
        except Exception:  # no host kernel: the values are lost, the shapes are not
            return self.lose(op, func, args, kwargs)
        if not tensors_in((values,)) and not op.positions:
            return values  # a Python number, as .item() gives
        if op.positions or op.keywords:
            return func(*args, **kwargs)  # the shadow was written through its own alias
        out = tree_map(_on_meta, values) if op.dynamic else func(*args, **kwargs)
        for tensor, real in zip(tensors_in((out,)), tensors_in((values,)), strict=True):
            if tensor.is_meta:
                self.set(tensor, real)
        return out

    def lose(self, op: Operator, func: Any, args: tuple, kwargs: dict) -> Any:
        """Run an operation on meta alone; what it overwrites is known no longer."""
        out = func(*args, **kwargs)
        for tensor in op.written(args, kwargs):
            self.set(tensor, None)
        return out

    def promote(self, tree: Any) -> Any:
        """Arguments with host tensors moved to meta, their values kept; zero-dimensional ones may stay."""

        def convert(value: Any) -> Any:
            if not isinstance(value, torch.Tensor) or value.is_meta or value.dim() == 0:
                return value
            tensor = _on_meta(value)
            self.set(tensor, value.detach())
            return tensor

        return tree_map(convert, tree)

    def _real(self, value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return self.get(value)
        return HOST if isinstance(value, torch.device) else value


def _on_meta(value: Any) -> Any:
    if not isinstance(value, torch.Tensor):
        return value
    return torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device="meta")
