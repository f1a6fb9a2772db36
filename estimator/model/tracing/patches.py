"""What is replaced inside torch while a trace runs, and put back afterwards."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from weakref import WeakMethod

import torch

from estimator.model.tracing.autocast import emulate_autocast
from estimator.model.tracing.functions import Functions
from estimator.model.tracing.opaque import scaled_dot_product_attention


@contextmanager
def patched_torch(recorder: Any) -> Iterator[None]:
    """Keep attention whole and constants known, and let autocast reach meta tensors."""
    with ExitStack() as stack:
        stack.enter_context(_attention_kernel(recorder.note))
        stack.enter_context(Functions(recorder))
        stack.enter_context(emulate_autocast())
        stack.callback(torch.backends.mha.set_fastpath_enabled, torch.backends.mha.get_fastpath_enabled())
        torch.backends.mha.set_fastpath_enabled(False)  # it asks for nested tensors, which have no meta kernel
        if "torch._dynamo" in sys.modules:  # somebody compiled something: run it as written
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        yield


@contextmanager
def _attention_kernel(note: Any) -> Iterator[None]:
    """A kernel above autograd for meta tensors: wherever attention is called from, Python or C++, it arrives here."""
    library, remark = torch.library.Library("aten", "IMPL"), WeakMethod(note)  # torch never lets go of a kernel

    def kernel(*args: Any, **kwargs: Any) -> torch.Tensor:
        return scaled_dot_product_attention(remark(), *args, **kwargs)

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a composite operator gets a kernel is the point
            library.impl("scaled_dot_product_attention", kernel, "AutogradMeta")
        yield
    finally:
        library._destroy()
