"""Products side by side: what serving engines merge when they load a model.

Products of one module with the same left operand and nothing between them are one launch: their weights lie next to each other,
so m and k stay and n adds up (query, key and value; gate and up). Whatever then works element by element on what such a launch
made, before the next library kernel, is one launch too: the norms of queries and keys, rotation, the append to the cache.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from estimator.model.fusion.operation import Operation
from estimator.model.work import Signature, TensorSpec

OPERANDS = {"aten.mm": ("self", "mat2"), "aten.addmm": ("mat1", "mat2"), "aten.linear": ("input", "weight")}
APPEND = "est.kv_append"


def merged_products(calls: list[Any], operations: list[Operation], levels: list[int]) -> dict[int, int]:
    """Index of each product by a weight, with the index of the first one in its launch."""
    first: dict[tuple, int] = {}
    found: dict[int, int] = {}
    made: set[int] = set()
    for index, (call, operation) in enumerate(zip(calls, operations)):
        signature = operation.signature
        if signature.op in OPERANDS:
            left, right = (_position(signature, name) for name in OPERANDS[signature.op])
            if call.reads[right] not in made:
                module = call.module.rpartition(".")[0]
                key = (call.reads[left], signature.inputs[left], levels[index], call.phase, module)
                found[index] = first.setdefault(key, index)
        made.update(call.writes)
    return found


def appending(operation: Operation) -> Operation:
    """The append to a cache as part of the launch that makes what is appended."""
    return replace(operation, fuses=True, ends_level=False) if operation.signature.op == APPEND else operation


def _position(signature: Signature, name: str) -> int:
    """Which of the signature's tensors the argument is."""
    return list(_tensor_names(signature)).index(name)


def _tensor_names(signature: Signature) -> Iterator[str]:
    return (name for name, value in signature.arguments if isinstance(value, TensorSpec))
