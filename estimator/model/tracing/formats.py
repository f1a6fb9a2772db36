"""Torch dtypes as the number formats of `estimator.model.work.BYTES`, and tensors as `TensorSpec`."""

import torch

from estimator.errors import TraceError
from estimator.model.work import TensorSpec

FORMAT = {
    torch.float64: "fp64", torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16",
    torch.float8_e4m3fn: "fp8_e4m3", torch.float8_e4m3fnuz: "fp8_e4m3", torch.float8_e5m2: "fp8_e5m2", torch.float8_e5m2fnuz: "fp8_e5m2",
    torch.float4_e2m1fn_x2: "fp4", torch.float8_e8m0fnu: "uint8",  # e8m0 is a bare exponent: block scales
    torch.complex64: "complex64", torch.complex128: "complex128",
    torch.int64: "int64", torch.int32: "int32", torch.int16: "int16", torch.int8: "int8",
    torch.uint64: "int64", torch.uint32: "int32", torch.uint16: "int16", torch.uint8: "uint8", torch.bool: "bool",
}  # fmt: skip


def number_format(dtype: torch.dtype) -> str:
    """Name of a dtype as a number format; raises `TraceError` for one that the estimator does not know."""
    try:
        return FORMAT[dtype]
    except KeyError:
        known = ", ".join(sorted({str(known).removeprefix("torch.") for known in FORMAT}))
        raise TraceError(f"number format {dtype} is not supported; known are {known}. Cast the tensor to one of them.") from None


def tensor_spec(tensor: torch.Tensor) -> TensorSpec:
    """Shape, number format and repeated (stride 0) dimensions of a tensor."""
    shape = tuple(tensor.shape)
    expanded = tuple(axis for axis, (size, stride) in enumerate(zip(shape, tensor.stride(), strict=True)) if stride == 0 and size > 1)
    if tensor.dtype is torch.float4_e2m1fn_x2:  # torch counts bytes, each of which holds two elements
        shape = (*shape[:-1], 2 * shape[-1])
    return TensorSpec(shape, number_format(tensor.dtype), expanded)
