"""Weight formats as data: schemes.toml, with the bytes that a packed weight takes."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from math import ceil
from pathlib import Path

from estimator.errors import unknown_name
from estimator.model.work import TensorSpec

INDEX_BITS = 2  # which of four places a kept value had


@dataclass(frozen=True, slots=True)
class Scheme:
    """One way to store weights; fields as schemes.toml explains them."""

    name: str
    weight: str
    group: int
    scale: str
    source: str
    note: str
    zero: str = ""
    activation: str = ""
    unpack: float = 0
    quantize: float = 0


@cache
def schemes() -> Mapping[str, Scheme]:
    """All schemes by name."""
    tables = tomllib.loads(Path(__file__).with_name("schemes.toml").read_text(encoding="utf-8"))
    known = {field.name for field in fields(Scheme)}
    found = {name: table for name, table in tables.items() if isinstance(table, dict)}
    return {name: Scheme(name=name, **{key: value for key, value in table.items() if key in known}) for name, table in found.items()}


def scheme(name: str) -> Scheme:
    """The scheme of that name; raises `UnknownName`."""
    if name not in schemes():
        raise unknown_name("weight format", name, schemes(), "Say weights=… with one of these.")
    return schemes()[name]


def packed(weight: TensorSpec, how: Scheme | None, group: int, sparse: bool) -> dict[str, TensorSpec | None]:
    """The tensors that hold a weight (…, k, n): values, scales and zero points of its groups, places of kept values.

    `group` elements along k share a scale (0: all k). 2:4 sparsity keeps two values of four and `INDEX_BITS` for each.
    """
    *stack, k, n = weight.shape
    kept, groups = (k // 2 if sparse else k), (ceil(k / group) if group else 1)

    def per_group(form: str) -> TensorSpec | None:
        return TensorSpec((*stack, groups, n), form) if form else None

    return {
        "values": TensorSpec((*stack, kept, n), how.weight if how else weight.format),
        "scales": per_group(how.scale) if how else None,
        "zeros": per_group(how.zero) if how else None,
        "places": TensorSpec((*stack, ceil(kept * INDEX_BITS / 8), n), "uint8") if sparse else None,  # exact: bits of a byte
    }
