"""Sorting and selection as GPUs do them: radix passes over the bits of the key.

Merrill & Grimshaw, "High performance and scalable radix sorting", Parallel Processing Letters 21 (2011): a key of b bits takes
b/8 passes of 8-bit digits, so the work is linear in the number of elements. Passes after the first are taken to stay in cache:
the bytes are those of one reading and one writing.
"""

from estimator.model.rules.registry import moved, rule
from estimator.model.rules.table import flop_per_element
from estimator.model.work import BYTES, Signature, Work

SORTS = ("aten.sort", "aten._unique2", "aten.unique_dim", "aten.unique_consecutive", "aten.mode")
SELECTIONS = ("aten.topk", "aten.kthvalue", "aten.median", "aten.nanmedian")


@rule(*SORTS, kind="reduction", fuses=False)
def sort(op: Signature) -> Work:
    """Every pass moves all keys."""
    return _passes(op, "radix_sort")


@rule(*SELECTIONS, kind="reduction", fuses=False)
def select(op: Signature) -> Work:
    """Every pass counts digits; only the wanted bucket goes on."""
    return _passes(op, "radix_select")


@rule("aten.randperm", kind="creation", fuses=False)
def random_permutation(op: Signature) -> Work:
    """Random keys, sorted."""
    keys, key_bytes = op.outputs[0].elements, BYTES[op.outputs[0].format]
    per_key = flop_per_element("uniform").vector + key_bytes * flop_per_element("radix_sort").vector
    return moved(op, vector=per_key * keys)


def _passes(op: Signature, entry: str) -> Work:
    keys = op.inputs[0]
    return moved(op, vector=flop_per_element(entry).vector * BYTES[keys.format] * keys.elements)
