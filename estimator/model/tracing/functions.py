"""The function mode: what never reaches dispatch, or would fail on the way there."""

from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from estimator.model.tracing.recurrent import CELLS, recurrent

CONSTANTS = {torch.tensor, torch.as_tensor}
MOVES = {torch.Tensor.to, torch.Tensor.cuda, torch.Tensor.xpu}
HERE = ("meta", "cpu")


class Functions(TorchFunctionMode):
    """Keeps the values of `torch.tensor(...)`, and takes every accelerator that the code names as the one that is traced."""

    def __init__(self, recorder: Any) -> None:
        super().__init__()
        self.recorder = recorder

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        if "device" in kwargs or func in MOVES:
            func, args, kwargs = self._on_meta(func, args, kwargs)
        out = recurrent(func, *args) if func in CELLS else NotImplemented
        if out is NotImplemented:
            out = func(*args, **kwargs)
        if func in CONSTANTS and isinstance(out, torch.Tensor) and out.is_meta and not isinstance(args[0], torch.Tensor):
            self.recorder.shadows.set(out, func(*args, **{**kwargs, "device": "cpu"}))
        return out

    def _on_meta(self, func: Any, args: tuple, kwargs: dict) -> tuple[Any, tuple, dict]:
        if func in MOVES - {torch.Tensor.to}:  # x.cuda(), x.cuda(1)
            return torch.Tensor.to, (args[0], "meta"), {}
        args = tuple("meta" if elsewhere(value) else value for value in args) if func in MOVES else args
        return func, args, {name: "meta" if name == "device" and elsewhere(value) else value for name, value in kwargs.items()}


def elsewhere(device: Any) -> bool:
    """Whether a device argument names an accelerator: `"cuda:0"`, `torch.device("xpu")`, for example."""
    if isinstance(device, torch.device):
        return device.type not in HERE
    return isinstance(device, str) and device.partition(":")[0] not in HERE
