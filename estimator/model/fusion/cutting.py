"""Which activations tensor parallelism cuts (Shoeybi et al., Megatron-LM, arXiv:1909.08053, figure 3).

Products come in pairs. The first of a pair has its weight cut by columns and makes each rank's columns of the result; the second has its
weight cut by rows and takes them, and the ranks sum what it makes. So a product with a weight turns what is whole into what is cut and
back, what lies between follows the largest of its operands, and attention is cut by heads.
"""

from collections.abc import Collection
from typing import Any

from estimator.model.fusion.dataflow import Dataflow
from estimator.model.rules import kind_of
from estimator.model.rules.registry import FLOATING

PRODUCTS = ("matmul", "convolution")


def cut_storages(flow: Dataflow, weights: Collection[int]) -> set[int]:
    """The storages made in forward of which each rank has a part."""
    cut: dict[int, bool] = {}  # of what depends on the data
    for index, call in enumerate(flow.calls):
        if call.phase == "forward":
            operands = _operands(index, flow, weights, cut)
            if operands is not None:
                result = _result(kind_of(flow.operation[index].signature.op), operands, cut)
                cut |= dict.fromkeys((storage for storage in call.writes if storage not in cut), result)
    return {storage for storage, is_cut in cut.items() if is_cut}


def _operands(index: int, flow: Dataflow, weights: Collection[int], cut: dict[int, bool]) -> list[tuple[int, Any]] | None:
    """The storages of floating-point operands that depend on data, with their elements, and None for one that does not (a weight)."""
    call, signature = flow.calls[index], flow.operation[index].signature
    found: list[tuple[int, Any]] = []
    for storage, spec in zip(call.reads, signature.inputs):
        constant = storage in weights or (storage in flow.made and storage not in cut)
        if spec.format in FLOATING:
            found.append((0 if constant else storage, spec.elements))
    depends = any(storage for storage, _ in found) or any(spec.format not in FLOATING for spec in signature.inputs)
    return found if depends else None


def _result(kind: str, operands: list[tuple[int, Any]], cut: dict[int, bool]) -> bool:
    if kind == "attention":
        return True
    data = [(size, cut.get(storage, False)) for storage, size in operands if storage]
    if not data:
        return False
    if kind in PRODUCTS and len(data) < len(operands):
        return not any(is_cut for _, is_cut in data)
    largest = max(size for size, _ in data)
    return all(is_cut for size, is_cut in data if size == largest)
