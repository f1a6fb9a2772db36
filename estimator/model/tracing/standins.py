"""Meta copies of weights and inputs; the caller's module, optimizer and tensors come back untouched.

Each submodule runs on a copy of its attribute dictionary in which every tensor has a meta stand-in. Whatever forward writes
(running statistics, caches, new attributes) lands in the copies; the originals are put back as they were.
"""

import copy
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor

from estimator.errors import TraceError

DENSE = (torch.Tensor, torch.nn.Parameter, torch.nn.Buffer, FakeTensor)
CONTAINERS = (dict, OrderedDict, list, tuple)


class StandIns:
    """Meta tensors by the identity of the tensors they stand for, so that shared ones stay shared."""

    def __init__(self) -> None:
        self.memo: dict[int, Any] = {}
        self.originals: list[Any] = []  # kept alive: an identity must not be used twice
        self.classes: set[str] = set()  # tensor subclasses whose own layout is lost

    def of(self, tensor: torch.Tensor) -> torch.Tensor:
        """A meta tensor of the same shape, strides, dtype and class (parameter or not)."""
        stand_in = self.memo.get(id(tensor))
        if stand_in is None and torch.nn.parameter.is_lazy(tensor):
            raise TraceError("the model has lazy parameters, which have no shape yet; call it once on an example batch, then trace it.")
        if stand_in is None:
            stand_in = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")
            if type(tensor) not in DENSE:
                self.classes.add(type(tensor).__name__)
            if isinstance(tensor, torch.nn.Parameter):
                stand_in = torch.nn.Parameter(stand_in, requires_grad=tensor.requires_grad)
            elif tensor.requires_grad:
                stand_in.requires_grad_()
            self.memo[id(tensor)] = stand_in
            self.originals.append(tensor)
        return stand_in

    def tree(self, value: Any) -> Any:
        """A copy of nested containers, or of an object that holds tensors, with stand-ins for the tensors."""
        if isinstance(value, torch.Tensor):
            return self.of(value)
        memo: dict[int, Any] = {}
        for leaf in _leaves(value, set()):
            memo[id(leaf)] = self.of(leaf) if isinstance(leaf, torch.Tensor) else leaf
        if not any(isinstance(leaf, torch.Tensor) for leaf in memo.values()):
            return value
        try:
            return copy.deepcopy(value, memo)
        except Exception as error:
            raise TraceError(f"an input of type {type(value).__name__} cannot be copied: {error}. Pass its tensors instead.") from error

    def attributes(self, module: torch.nn.Module) -> dict[str, Any]:
        """A module's attributes with stand-ins: parameters, buffers, plain tensors and containers of them."""
        return {name: self._container(value) if type(value) in CONTAINERS else self._item(value) for name, value in module.__dict__.items()}

    def _container(self, value: Any) -> Any:
        if id(value) not in self.memo:  # two modules that share a list go on sharing it
            items = {key: self._item(item) for key, item in value.items()} if isinstance(value, dict) else map(self._item, value)
            self.memo[id(value)] = type(value)(items)
            self.originals.append(value)
        return self.memo[id(value)]

    def _item(self, value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return self.of(value)
        return uncompiled(value) if isinstance(value, torch.nn.Module) else value


def _leaves(value: Any, seen: set[int]) -> list[torch.Tensor | torch.nn.Module]:
    """Tensors and modules in containers and in the attributes of objects such as a key-value cache."""
    if id(value) in seen or isinstance(value, (str, bytes, int, float, type)):
        return []
    seen.add(id(value))
    if isinstance(value, (torch.Tensor, torch.nn.Module)):
        return [value]
    if isinstance(value, dict):
        parts = list(value.values())
    elif isinstance(value, (list, tuple, set)):
        parts = list(value)
    else:
        parts = list(getattr(value, "__dict__", {}).values())
    return [leaf for part in parts for leaf in _leaves(part, seen)]


def uncompiled(module: torch.nn.Module) -> torch.nn.Module:
    """The module inside the wrapper of `torch.compile`; any other module is its own."""
    return getattr(module, "_orig_mod", module)


@contextmanager
def on_meta(model: torch.nn.Module, stand_ins: StandIns, training: bool | None) -> Iterator[None]:
    """Run a model on stand-ins for its weights, in train mode, eval mode or (None) its own."""
    originals = [(module, module.__dict__) for module in model.modules() if not isinstance(module, torch.jit.ScriptModule)]
    try:
        for module, _ in originals:
            swapped = stand_ins.attributes(module)
            swapped["_compiled_call_impl"] = None  # of module.compile()
            if training is not None:
                swapped["training"] = training
            object.__setattr__(module, "__dict__", swapped)
        yield
    finally:
        for module, attributes in originals:
            object.__setattr__(module, "__dict__", attributes)
