"""What is replaced inside torch while a trace runs, and put back afterwards."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch

from estimator.model.tracing.autocast import emulate_autocast
from estimator.model.tracing.opaque import scaled_dot_product_attention
from estimator.model.tracing.replace import replaced


@contextmanager
def patched_torch(recorder: Any) -> Iterator[None]:
    """Keep attention whole, keep the values of `torch.tensor(...)`, and let autocast reach meta tensors."""
    with ExitStack() as stack:
        stack.enter_context(_attention_kernel(recorder.note))
        for name in ("tensor", "as_tensor"):
            stack.enter_context(replaced(torch, name, partial(_constant, recorder, getattr(torch, name))))
        stack.enter_context(emulate_autocast())
        stack.callback(torch.backends.mha.set_fastpath_enabled, torch.backends.mha.get_fastpath_enabled())
        torch.backends.mha.set_fastpath_enabled(False)  # it asks for nested tensors, which have no meta kernel
        if "torch._dynamo" in sys.modules:  # somebody compiled something: run it as written
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        yield


@contextmanager
def _attention_kernel(note: Any) -> Iterator[None]:
    """A kernel above autograd for meta tensors: wherever attention is called from, Python or C++, it arrives here."""
    library = torch.library.Library("aten", "IMPL")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a composite operator gets a kernel is the point
            library.impl("scaled_dot_product_attention", partial(scaled_dot_product_attention, note), "AutogradMeta")
        yield
    finally:
        library._destroy()


def _constant(recorder: Any, function: Any, data: Any, *args: Any, **kwargs: Any) -> torch.Tensor:
    """`torch.tensor` builds its result out of sight of dispatch."""
    out = function(data, *args, **kwargs)
    if isinstance(out, torch.Tensor) and out.is_meta and not isinstance(data, torch.Tensor):
        recorder.shadows.set(out, function(data, *args, **{**kwargs, "device": "cpu"}))
    return out
