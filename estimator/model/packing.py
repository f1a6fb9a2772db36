"""Kernels as compact JSON data: every distinct tensor and signature is written once and referred to by its index.

A number is itself, a polynomial its text. Among an operation's arguments, where text may also be an option's name, a
one-key object says what is meant: {"t": index} a tensor, {"p": "batch*sequence"} a polynomial, {"f": "inf"} a float that
JSON has no word for. Nothing in a file is ever executed.
"""

from collections.abc import Mapping
from math import isfinite
from typing import Any

from estimator.errors import InvalidSetting
from estimator.model.polynomial import Polynomial
from estimator.model.work import Kernel, Signature, TensorSpec


class Packer:
    """Collects the tables while kernels are packed."""

    def __init__(self) -> None:
        self._tensors: dict[TensorSpec, int] = {}
        self._signatures: dict[Signature, int] = {}
        self._rows: dict[str, list[Any]] = {"tensors": [], "signatures": []}

    def tables(self) -> dict[str, list[Any]]:
        """Rows of tensors [format, shape, expanded] and signatures [op, arguments, outputs] so far."""
        return self._rows

    def kernel(self, kernel: Kernel) -> list[Any]:
        """One kernel as a row in the order of its fields; `resident` only where there is any."""
        signatures = [self.signature(signature) for signature in kernel.signatures]
        reads, writes = (None if specs is None else [self.tensor(spec) for spec in specs] for specs in (kernel.reads, kernel.writes))
        where = [kernel.name, kernel.kind, kernel.phase, kernel.module]
        resident = [[self.tensor(spec) for spec in kernel.resident]] if kernel.resident else []
        return [*where, signatures, reads, writes, kernel.format, _text(kernel.count), _runs(kernel.layers), *resident]

    def signature(self, signature: Signature) -> int:
        if signature not in self._signatures:
            arguments = {name: self._value(value) for name, value in signature.arguments}
            self._rows["signatures"].append([signature.op, arguments, [self.tensor(spec) for spec in signature.outputs]])
            self._signatures[signature] = len(self._signatures)
        return self._signatures[signature]

    def tensor(self, spec: TensorSpec) -> int:
        if spec not in self._tensors:
            shape = [_text(size) for size in spec.shape]
            self._rows["tensors"].append([spec.format, shape, list(spec.expanded)])
            self._tensors[spec] = len(self._tensors)
        return self._tensors[spec]

    def _value(self, value: Any) -> Any:
        if isinstance(value, TensorSpec):
            return {"t": self.tensor(value)}
        if isinstance(value, Polynomial):
            return {"p": str(value)}
        if isinstance(value, tuple):
            return [self._value(part) for part in value]
        if isinstance(value, float) and not isfinite(value):
            return {"f": str(value)}
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        kind = type(value).__name__
        raise InvalidSetting(f"argument {value!r} of type {kind} cannot be stored: expected a tensor, number, text or tuple of them")


class Unpacker:
    """Reads back what a `Packer` wrote; kernels share their tensors and signatures."""

    def __init__(self, tables: Mapping[str, list[Any]]) -> None:
        self._polynomials: dict[str, Polynomial] = {}
        self._tensors = [TensorSpec(tuple(map(self._size, shape)), form, tuple(expanded)) for form, shape, expanded in tables["tensors"]]
        self._signatures = [self._signature(*row) for row in tables["signatures"]]

    def kernel(self, row: list[Any]) -> Kernel:
        """The kernel of one row."""
        name, kind, phase, module, signatures, reads, writes, form, count, runs, *resident = row
        reads, writes = (None if indices is None else tuple(self._tensors[i] for i in indices) for indices in (reads, writes))
        signatures = tuple(self._signatures[i] for i in signatures)
        stays = tuple(self._tensors[i] for indices in resident for i in indices)
        return Kernel(name, kind, phase, module, signatures, reads, writes, form, self._size(count), _layers(runs), stays)

    def _signature(self, op: str, arguments: dict[str, Any], outputs: list[int]) -> Signature:
        pairs = tuple((name, self._value(value)) for name, value in arguments.items())
        return Signature(op, pairs, tuple(self._tensors[i] for i in outputs))

    def _size(self, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if value not in self._polynomials:
            self._polynomials[value] = Polynomial.parse(value)
        return self._polynomials[value]

    def _value(self, value: Any) -> Any:
        if isinstance(value, list):
            return tuple(self._value(part) for part in value)
        if isinstance(value, dict):
            ((tag, content),) = value.items()
            return self._tensors[content] if tag == "t" else self._size(content) if tag == "p" else float(content)
        return value


def _text(size: Any) -> Any:
    return str(size) if isinstance(size, Polynomial) else size


def _runs(layers: tuple[int, ...]) -> list[list[int]]:
    """(first, last) of each stretch of consecutive layers, up or, as backward meets them, down."""
    runs: list[list[int]] = []
    for layer in layers:
        if runs and _continues(runs[-1], layer):
            runs[-1][1] = layer
        else:
            runs.append([layer, layer])
    return runs


def _continues(run: list[int], layer: int) -> bool:
    first, last = run
    return abs(layer - last) == 1 and (layer - last) * (last - first) >= 0


def _layers(runs: list[list[int]]) -> tuple[int, ...]:
    return tuple(layer for first, last in runs for layer in (range(first, last + 1) if first <= last else range(first, last - 1, -1)))
