"""Layers or attention heads taken out of a lifted architecture."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

from estimator.errors import InvalidSetting
from estimator.model.architecture import Architecture
from estimator.model.weights import weights_of
from estimator.model.work import Kernel

ATTENTION = "att"  # in the name of the block that holds attention and its projections: self_attn, attention, SelfAttention


def without_layers(model: Architecture, share: float) -> tuple[Architecture, str]:
    """`share` of each stack's layers taken out before the last one, and how many those are."""
    stacks: dict[str, int] = {}
    for program in model.programs.values():
        for kernel in program.kernels["eager"]:
            if kernel.layers:
                stack = _stack(kernel.module)
                stacks[stack] = max(stacks.get(stack, 0), 1 + max(kernel.layers))
    if not stacks:
        raise InvalidSetting(f"{model.name} has no layers that repeat; prune the module itself and trace it.")
    kept = {stack: max(round(depth * (1 - share)), 1) for stack, depth in stacks.items()}
    gone = {stack: range(kept[stack] - 1, depth - 1) for stack, depth in stacks.items()}
    text = "; ".join(f"{stack.rstrip('.')}: {kept[stack]} of {depth}" for stack, depth in stacks.items())
    cache = Fraction(sum(kept.values()), sum(stacks.values()))
    return _smaller(model, lambda kernel: _fewer_layers(kernel, gone), cache), text


def _stack(module: str) -> str:
    return module.partition("*")[0]


def _fewer_layers(kernel: Kernel, gone: dict[str, range]) -> Kernel | None:
    if kernel.layers:
        layers = tuple(layer for layer in kernel.layers if layer not in gone[_stack(kernel.module)])
        return replace(kernel, layers=layers) if layers else None
    for stack, removed in gone.items():  # what only one layer does, such as a first layer of another kind
        index = kernel.module.removeprefix(stack).partition(".")[0] if kernel.module.startswith(stack) else ""
        if index.isdigit() and int(index) in removed:
            return None
    return kernel


def without_heads(model: Architecture, share: float) -> tuple[Architecture, str]:
    """`share` of the query and key heads of every layer taken out, as so many launches of their attention blocks."""
    blocks = {
        _block(kernel.module) for program in model.programs.values() for kernel in program.kernels["eager"] if kernel.kind == "attention"
    }
    if not blocks:
        raise InvalidSetting(f"{model.name} has no attention heads to prune")

    def fewer(kernel: Kernel) -> Kernel:
        inside = any(kernel.module == block or kernel.module.startswith(f"{block}.") for block in blocks)
        return replace(kernel, count=kernel.count * (1 - share)) if inside else kernel

    return _smaller(model, fewer, 1 - Fraction(share)), ", ".join(sorted(blocks))


def _block(module: str) -> str:
    names = module.split(".")
    end = next((index for index, name in enumerate(names) if ATTENTION in name.lower()), len(names) - 1)
    return ".".join(names[: end + 1])


def _smaller(model: Architecture, change: Any, cache: Fraction) -> Architecture:
    programs = {
        name: replace(program, kernels={fusion: tuple(_changed(kernels, change)) for fusion, kernels in program.kernels.items()})
        for name, program in model.programs.items()
    }
    before, after = (_elements(source) for source in (model.programs, programs))
    left = (model.parameters - before + after) / model.parameters
    return replace(
        model,
        programs=programs,
        parameters=round(model.parameters * left),
        active_parameters=round(model.active_parameters * left),
        parameter_bytes=model.parameter_bytes * left,
        kv_bytes_per_token=model.kv_bytes_per_token * float(cache),
        kv_windows=tuple((window, size * float(cache)) for window, size in model.kv_windows),
    )


def _changed(kernels: tuple[Kernel, ...], change: Any) -> Iterator[Kernel]:
    return (new for kernel in kernels if (new := change(kernel)) is not None)


def _elements(programs: Any) -> float:
    """Elements of the matrices that the first step multiplies by; norms and biases are too few to matter."""
    first = next(program for name, program in programs.items() if name != "training")
    return sum(weight.spec.elements * weight.count for weight in weights_of(first.kernels["eager"]))
