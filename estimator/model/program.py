"""A lifted program: the kernels of one step of a model for any size, without torch.

A step is a prefill, one decoded token, one training step. Its kernels are those of a trace, their dimensions polynomials of
the program's symbols; `Program.at` puts numbers in their place.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from estimator.errors import InvalidSetting, unknown_name
from estimator.model.packing import Packer, Unpacker
from estimator.model.substitution import template
from estimator.model.work import Kernel

SMALLEST = {"past": 0}


@dataclass(frozen=True, slots=True)
class Program:
    """Kernels by fusion ("eager": one per operation; "fused": as a compiler groups them; "serving": as serving engines do, where the
    step is one of inference), in launch order.

    `symbols` names the sizes: `batch` sequences (or images), `sequence` tokens of each, `past` tokens in the cache, `target`
    decoder tokens of an encoder-decoder's training step.
    """

    symbols: tuple[str, ...]
    kernels: Mapping[str, tuple[Kernel, ...]]

    def at(self, fusion: str = "eager", **sizes: Any) -> tuple[Kernel, ...]:
        """The kernels at these sizes: whole numbers stay whole; an array is widened to float64 and makes every dimension an array.

        Raises `InvalidSetting` for a missing, unknown or non-positive size, `UnknownName` for another fusion.
        """
        if fusion not in self.kernels:
            raise unknown_name("fusion", fusion, self.kernels, "It says how operations are grouped into kernels.")
        if set(sizes) != set(self.symbols):
            raise InvalidSetting(f"sizes {', '.join(sorted(sizes)) or 'none'} given: expected exactly {', '.join(self.symbols)}")
        for name, value in sizes.items():
            _check(name, value)
        return template(self.kernels[fusion]).at(sizes)

    def pack(self, packer: Packer) -> dict[str, Any]:
        """Plain data for JSON; tensors and signatures go to the packer's shared tables, a fusion that changes nothing is named."""
        rows: dict[str, Any] = {}
        for fusion, kernels in self.kernels.items():
            same = next((other for other in rows if self.kernels[other] == kernels), None)
            rows[fusion] = same or [packer.kernel(kernel) for kernel in kernels]
        return {"symbols": self.symbols, "kernels": rows}

    @classmethod
    def unpack(cls, data: Mapping[str, Any], unpacker: Unpacker) -> "Program":
        """The program that `pack` wrote."""
        kernels: dict[str, tuple[Kernel, ...]] = {}
        for fusion, rows in data["kernels"].items():
            kernels[fusion] = kernels[rows] if isinstance(rows, str) else tuple(map(unpacker.kernel, rows))
        return cls(tuple(data["symbols"]), kernels)

    def to_json(self) -> dict[str, Any]:
        """The program by itself as plain JSON data, its tables included."""
        packer = Packer()
        program = self.pack(packer)
        return {"tables": packer.tables(), "program": program}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Program":
        """The program that `to_json` wrote."""
        return cls.unpack(data["program"], Unpacker(data["tables"]))


def _check(name: str, value: Any) -> None:
    if not (isinstance(value, (int, float)) or hasattr(value, "dtype")):
        return
    smallest = SMALLEST.get(name, 1)
    holds = (value >= smallest) & (value < float("inf"))
    if not (holds.all() if hasattr(holds, "all") else holds):
        raise InvalidSetting(f"{name}={value!r}: expected finite numbers of at least {smallest}")
