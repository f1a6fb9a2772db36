"""What a training step keeps from forward to backward, in the parts that a way of training can divide or compute again."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from estimator.model.polynomial import Polynomial

PLACES = ("before", "layers", "after")


class Part(NamedTuple):
    """A part of the activations of a training step.

    `place`: before, in or after the layers. `cut`: between the two products of a pair that tensor parallelism cuts, so that each rank
    has its columns alone. `light`: can be had again from the others without a matrix product, attention or convolution: norms and
    activation functions whose result a product reads. `working`: is there for one launch of backward, the largest.
    """

    place: str
    cut: bool = False
    light: bool = False
    working: bool = False


Saved = Mapping[Part, Any]  # bytes of each part: numbers, or polynomials in the sizes of the step


def pack(saved: Mapping[str, Saved]) -> dict[str, tuple[tuple[Any, ...], ...]]:
    """As plain data, by fusion."""
    return {fusion: tuple((*part, str(size)) for part, size in parts.items()) for fusion, parts in saved.items()}


def unpack(data: Mapping[str, list[list[Any]]]) -> dict[str, dict[Part, Any]]:
    """What `pack` made plain."""
    return {fusion: {Part(*part): Polynomial.parse(size) for *part, size in parts} for fusion, parts in data.items()}
