"""Repeats become counts: identical launches of one module, and of the same module in many layers, are one `Kernel`.

The first whole number in a module's path is its layer: `model.layers.7.mlp` is `model.layers.*.mlp` in layer 7.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from estimator.model.work import Dim, Kernel, Signature


def fold(kernels: Iterable[Kernel]) -> tuple[Kernel, ...]:
    """Fewer kernels with the same launches in total, in order of first appearance; folding twice changes nothing."""
    identity = _Identity()
    counts: dict[tuple, dict[int | None, Dim]] = {}
    samples: dict[tuple, Kernel] = {}
    for kernel in kernels:
        pattern, layers = (kernel.module, kernel.layers) if kernel.layers else _split(kernel.module)
        key = (pattern, *identity(kernel))
        samples.setdefault(key, kernel)
        per_layer = counts.setdefault(key, {})
        for layer in layers:
            per_layer[layer] = per_layer.get(layer, 0) + kernel.count
    return tuple(kernel for key, per_layer in counts.items() for kernel in _merged(samples[key], key[0], per_layer))


def unfold(kernels: Iterable[Kernel]) -> Iterator[Kernel]:
    """One kernel per layer, the index back in its module path; `count` stays."""
    for kernel in kernels:
        if not kernel.layers:
            yield kernel
        for layer in kernel.layers:
            yield replace(kernel, module=kernel.module.replace("*", str(layer), 1), layers=())


def layer_of(module: str) -> tuple[str, int | None]:
    """The path of the stack of layers that a module belongs to, and its layer there; None outside of layers."""
    pattern, (layer,) = _split(module)
    return pattern.partition("*")[0], layer


def _split(module: str) -> tuple[str, tuple[int | None]]:
    names = module.split(".")
    for position, name in enumerate(names):
        if name.isdecimal():
            return ".".join((*names[:position], "*", *names[position + 1 :])), (int(name),)
    return module, (None,)


def _merged(sample: Kernel, pattern: str, per_layer: dict[int | None, Dim]) -> Iterator[Kernel]:
    """One kernel for all layers with equally many launches; a layer by itself keeps its path."""
    for count in dict.fromkeys(per_layer.values()):
        layers = tuple(layer for layer, launches in per_layer.items() if launches == count and layer is not None)
        if len(layers) > 1:
            yield replace(sample, module=pattern, count=count, layers=layers)
        else:
            module = pattern.replace("*", str(layers[0]), 1) if layers else pattern
            yield replace(sample, module=module, count=count, layers=())


class _Identity:
    """What two launches must share to be the same; large signatures are compared once, then by their number."""

    def __init__(self) -> None:
        self.number: dict[Signature, int] = {}
        self.known: dict[int, tuple[Signature, int]] = {}  # keeps the signature, so that its id stays its own

    def __call__(self, kernel: Kernel) -> tuple[Any, ...]:
        numbers = tuple(map(self._number, kernel.signatures))
        return numbers, kernel.name, kernel.kind, kernel.phase, kernel.reads, kernel.writes, kernel.resident, kernel.format

    def _number(self, signature: Signature) -> int:
        found = self.known.get(id(signature))
        if found is None:
            found = self.known[id(signature)] = (signature, self.number.setdefault(signature, len(self.number)))
        return found[1]
