"""The same model made lighter: matrix products in a narrower format, or layers left out.

What only changes values, such as weights pruned one by one, changes nothing here: dense hardware multiplies zeros too.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from estimator.model.architecture import Architecture
from estimator.model.program import Program
from estimator.model.work import BYTES, Kernel, TensorSpec

PRODUCTS = ("matmul", "convolution")


def quantised(model: Architecture, number_format: str) -> Architecture:
    """`model` with the operands of its weight products, weights and activations, in `number_format`, such as "fp8_e4m3".

    Products add up and leave the unit in the format of before; attention, normalisation and the cache stay as they are, and
    the kernels that narrow the activations are taken to hide in their neighbours.
    """
    smaller = BYTES[number_format] / BYTES[model.format]
    saved = (1 - smaller) * sum(spec.bytes * max(len(kernel.layers), 1) for kernel, spec in _weights(model))
    return replace(
        _changed(model, lambda kernel: _narrow(kernel, number_format)),
        name=f"{model.name} in {number_format}",
        parameter_bytes=model.parameter_bytes - saved,
    )


def without_layers(model: Architecture, share: float) -> Architecture:
    """`model` without the last `share` of its repeated layers (at least one is kept): structured pruning by depth."""
    depth = 1 + max((layer for program in model.programs.values() for k in _kernels(program) for layer in k.layers), default=0)
    kept = max(round((1 - share) * depth), 1)
    gone = sum(spec.elements * sum(layer >= kept for layer in kernel.layers) for kernel, spec in _weights(model))
    left = 1 - gone / model.parameters
    shallow = _changed(model, lambda kernel: _trimmed(kernel, kept))
    return replace(
        shallow,
        name=f"{model.name} with {kept} of {depth} layers",
        parameters=round(model.parameters * left),
        active_parameters=round(model.active_parameters * left),
        parameter_bytes=model.parameter_bytes * left,
        kv_bytes_per_token=model.kv_bytes_per_token * kept / depth,
        kv_windows=tuple((window, size * kept / depth) for window, size in model.kv_windows),
    )


def _changed(model: Architecture, change: Callable[[Kernel], Kernel | None]) -> Architecture:
    def program(given: Program) -> Program:
        made = {fusion: tuple(new for kernel in ks if (new := change(kernel)) is not None) for fusion, ks in given.kernels.items()}
        return replace(given, kernels=made)

    return replace(model, programs={name: program(given) for name, given in model.programs.items()})


def _kernels(program: Program) -> Iterable[Kernel]:
    return (kernel for kernels in program.kernels.values() for kernel in kernels)


def _weights(model: Architecture) -> Iterable[tuple[Kernel, TensorSpec]]:
    """Every weight matrix of one forward step with the kernel that reads it."""
    first = next(iter(model.programs.values())).kernels
    for kernel in next(iter(first.values())):
        if kernel.kind in PRODUCTS and kernel.phase == "forward":
            yield from ((kernel, spec) for signature in kernel.signatures for spec in signature.inputs if _is_weight(spec))


def _is_weight(spec: TensorSpec) -> bool:
    """A matrix whose size depends on neither batch nor tokens."""
    return len(spec.shape) > 1 and all(isinstance(size, int) for size in spec.shape)


def _narrow(kernel: Kernel, number_format: str) -> Kernel:
    if kernel.kind not in PRODUCTS or not any(_is_weight(spec) for signature in kernel.signatures for spec in signature.inputs):
        return kernel
    wide = kernel.format

    def narrow(value):
        if isinstance(value, TensorSpec) and value.format == wide:
            return replace(value, format=number_format)
        return tuple(map(narrow, value)) if isinstance(value, tuple) else value

    signatures = tuple(replace(s, arguments=tuple((name, narrow(value)) for name, value in s.arguments)) for s in kernel.signatures)
    return replace(kernel, signatures=signatures, reads=narrow(kernel.reads), format=number_format)


def _trimmed(kernel: Kernel, kept: int) -> Kernel | None:
    layers = tuple(layer for layer in kernel.layers if layer < kept)
    return None if kernel.layers and not layers else replace(kernel, layers=layers)
