"""Autocast on meta tensors: torch leaves them alone, so its casts are made here while an autocast region is active.

The operator lists follow torch's documentation ("Autocast Op Reference"): matrix products in the region's dtype and, on CUDA,
reductions and exponentials in fp32.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map

from estimator.model.tracing.replace import replaced

F, T = torch.nn.functional, torch.Tensor
REDUCED = {
    F.linear, F.bilinear, F.multi_head_attention_forward, F.scaled_dot_product_attention, F.prelu,
    F.conv1d, F.conv2d, F.conv3d, F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d,
    torch.conv1d, torch.conv2d, torch.conv3d, torch.conv_transpose1d, torch.conv_transpose2d, torch.conv_transpose3d,
    torch.matmul, torch.mm, torch.mv, torch.bmm, torch.addmm, torch.addmv, torch.baddbmm, torch.addbmm, torch.einsum,
    torch.chain_matmul, torch.linalg.multi_dot, T.matmul, T.__matmul__, T.__rmatmul__, T.mm, T.mv, T.bmm, T.addmm, T.baddbmm,
    torch.lstm_cell, torch.gru_cell, torch.rnn_tanh_cell, torch.rnn_relu_cell, torch.lstm, torch.gru,
}  # fmt: skip
FULL = {
    F.layer_norm, F.group_norm, F.softmax, F.log_softmax, F.softmin, F.softplus, F.normalize, F.cosine_similarity,
    F.cross_entropy, F.nll_loss, F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.kl_div, F.cosine_embedding_loss,
    torch.layer_norm, torch.softmax, torch.log_softmax, torch.exp, torch.expm1, torch.log, torch.log10, torch.log2, torch.log1p,
    torch.pow, torch.rsqrt, torch.reciprocal, torch.acos, torch.asin, torch.cosh, torch.sinh, torch.tan, torch.erfinv,
    torch.sum, torch.prod, torch.cumsum, torch.cumprod, torch.norm, torch.dist, torch.renorm, torch.cdist,
    T.softmax, T.log_softmax, T.exp, T.log, T.pow, T.__pow__, T.__rpow__, T.rsqrt, T.reciprocal, T.sum, T.prod, T.cumsum, T.norm,
}  # fmt: skip


class Autocast(TorchFunctionMode):
    """The casts of one autocast region."""

    def __init__(self, device: str, dtype: torch.dtype) -> None:
        super().__init__()
        self.device, self.dtype = device, dtype

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        if torch.is_autocast_enabled(self.device):  # a nested region may switch it off
            if func in REDUCED:
                args, kwargs = cast((args, kwargs), torch.get_autocast_dtype(self.device))
            elif func in FULL and self.device == "cuda":
                args, kwargs = cast((args, kwargs), torch.float32)
        return func(*args, **kwargs)


def cast(tree: Any, dtype: torch.dtype) -> Any:
    """Floating-point meta tensors in another dtype; double precision is left alone, as autocast does."""

    def convert(value: Any) -> Any:
        if isinstance(value, torch.Tensor) and value.is_meta and value.is_floating_point() and value.dtype not in (torch.float64, dtype):
            return value.to(dtype)
        return value

    return tree_map(convert, tree)


@contextmanager
def emulate_autocast() -> Iterator[None]:
    """While active, entering `torch.autocast` also enters the casts for meta tensors."""
    region = torch.amp.autocast_mode.autocast
    start, enter, leave = region.__init__, region.__enter__, region.__exit__
    modes: dict[int, Autocast] = {}

    def started(self: Any, device_type: str, *args: Any, **kwargs: Any) -> None:
        start(self, "cuda" if device_type == "meta" else device_type, *args, **kwargs)  # as in autocast(x.device.type)

    def entered(self: Any) -> Any:
        result = enter(self)
        if self._enabled:
            modes[id(self)] = Autocast(self.device, self.fast_dtype)
            modes[id(self)].__enter__()
        return result

    def left(self: Any, *error: Any) -> Any:
        if id(self) in modes:
            modes.pop(id(self)).__exit__(*error)
        return leave(self, *error)

    with ExitStack() as stack:
        stack.enter_context(replaced(region, "__init__", started))
        stack.enter_context(replaced(region, "__enter__", entered))
        stack.enter_context(replaced(region, "__exit__", left))
        # a build without CUDA would switch its autocast off, or refuse bf16
        stack.enter_context(replaced(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False))
        stack.enter_context(replaced(torch.cuda, "is_bf16_supported", lambda *_, **__: True))
        for device in ("cuda", "cpu"):
            if torch.is_autocast_enabled(device):
                stack.enter_context(Autocast(device, torch.get_autocast_dtype(device)))
        yield
