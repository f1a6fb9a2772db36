"""Kernels that move or transform arrays, as `python -m estimator measure` runs them: streams, copies in L2, multiply-adds, norms."""

from estimator.model.work import Kernel, Signature, TensorSpec
from estimator.validation.rows import Row
from estimator.validation.signatures import Kernels, format_of, kernel


def read(row: Row) -> Kernels:
    """The sum of an array."""
    array = _array(row)
    return (kernel("aten.sum", "reduction", {"self": array}, (TensorSpec((), array.format),), array.format),)


def write(row: Row) -> Kernels:
    """An array filled with one value."""
    array = _array(row)
    return (kernel("aten.fill_", "pointwise", {"self": array, "value": 0}, (array,), array.format),)


def copy(row: Row) -> Kernels:
    """One array into another, far beyond the caches."""
    array = _array(row)
    return (kernel("aten.copy_", "copy", {"self": array, "src": array}, (array,), array.format),)


def l2_copy(row: Row) -> Kernels:
    """The same copy again and again: where both arrays fit, the last-level cache holds them and nothing reaches memory."""
    array = _array(row)
    both = (array, array)  # what is written stays in the cache as well, so it is no traffic to memory either
    signature = Signature("aten.copy_", (("self", array), ("src", array)), (array,))
    return (Kernel("l2 copy", "copy", "forward", "", (signature,), reads=both, writes=(), format=array.format, resident=both),)


def multiply_add(row: Row) -> Kernels:
    """`fma_per_element` multiply-adds on every element of an array, one lane operation each; the array is read and written once."""
    array = _array(row)
    chain = Signature("aten.mul", (("self", _repeated(array, row)),), (_repeated(array, row),))
    return (Kernel("multiply-adds", "pointwise", "forward", "", (chain,), reads=(array,), writes=(array,), format=array.format),)


def _repeated(array: TensorSpec, row: Row) -> TensorSpec:
    return TensorSpec((*array.shape, row.whole("fma_per_element")), array.format)


def softmax(row: Row) -> Kernels:
    """Along rows of n."""
    x = _rows(row)
    return (kernel("aten._softmax", "reduction", {"self": x, "dim": -1, "half_to_float": False}, (x,), x.format),)


def layer_norm(row: Row) -> Kernels:
    """Along rows of n, with scale and shift."""
    return _norm("aten.native_layer_norm", row, "weight", "bias")


def rms_norm(row: Row) -> Kernels:
    """Along rows of n, with a scale."""
    return _norm("aten._fused_rms_norm", row, "weight")


def _norm(op: str, row: Row, *weights: str) -> Kernels:
    x = _rows(row)
    width = TensorSpec(x.shape[-1:], x.format)
    given = {"input": x, "normalized_shape": width.shape} | dict.fromkeys(weights, width) | {"eps": None}
    return (kernel(op, "reduction", given, (x,), x.format),)


def _array(row: Row) -> TensorSpec:
    return TensorSpec((row.whole("size"),), format_of(row))


def _rows(row: Row) -> TensorSpec:
    return TensorSpec((row.whole("m"), row.whole("n")), format_of(row))


BENCHMARKS = {
    "memory_read": read,
    "memory_write": write,
    "memory_copy": copy,
    "l2_copy": l2_copy,
    "vector_fma": multiply_add,
    "softmax": softmax,
    "layer_norm": layer_norm,
    "rms_norm": rms_norm,
}
