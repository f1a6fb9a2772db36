"""The same model in another number format: what was traced in fp16 or bf16 as it runs in fp32, or the other way round."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from estimator.errors import unknown_name
from estimator.model.architecture import Architecture
from estimator.model.program import Program
from estimator.model.work import BYTES, Kernel, Signature, TensorSpec

FORMATS = ("fp32", "bf16", "fp16")


def recast(model: Architecture, number_format: str) -> Architecture:
    """`model` with every tensor of its own format in `number_format`, one of `FORMATS`; the rest (indices, statistics) as it is.

    Raises `UnknownName`.
    """
    if number_format not in FORMATS:
        raise unknown_name("number format", number_format, FORMATS, "Quantised weights are made by quantize().")
    if number_format == model.format:
        return model
    change = _Change(model.format, number_format)
    return replace(
        model,
        format=number_format,
        parameter_bytes=model.parameter_bytes * BYTES[number_format] / BYTES[model.format],
        kv_bytes_per_token=model.kv_bytes_per_token * BYTES[number_format] / BYTES[model.format],
        programs={name: change.program(program) for name, program in model.programs.items()},
        decisions=(*model.decisions, f"Traced in {model.format}; every tensor of that format is taken to be {number_format}."),
    )


class _Change:
    """Puts one format in place of another; what kernels share is changed once."""

    def __init__(self, old: str, new: str) -> None:
        self.old, self.new = old, new
        self.done: dict[int, tuple[Any, Any]] = {}  # keeps the original, so that its id stays its own

    def program(self, program: Program) -> Program:
        kernels: Mapping[str, tuple[Kernel, ...]] = {name: tuple(map(self.kernel, rows)) for name, rows in program.kernels.items()}
        return Program(program.symbols, kernels)

    def kernel(self, kernel: Kernel) -> Kernel:
        parts = {name: self(getattr(kernel, name)) for name in ("signatures", "reads", "writes", "resident")}
        return replace(kernel, format=self.new if kernel.format == self.old else kernel.format, **parts)

    def __call__(self, value: Any) -> Any:
        if not isinstance(value, (TensorSpec, Signature, tuple)):
            return value
        if id(value) not in self.done:
            self.done[id(value)] = (value, self._changed(value))
        return self.done[id(value)][1]

    def _changed(self, value: Any) -> Any:
        if isinstance(value, TensorSpec):
            return replace(value, format=self.new) if value.format == self.old else value
        if isinstance(value, Signature):
            arguments = tuple((name, self(argument)) for name, argument in value.arguments)
            return replace(value, arguments=arguments, outputs=self(value.outputs))
        return tuple(map(self, value))
