"""Number formats by their bits: significand, exponent and storage. The table is `physics/number_formats.toml`."""

from dataclasses import dataclass
from functools import cache

from estimator.errors import unknown_name
from estimator.facts import load_facts


@dataclass(frozen=True, slots=True)
class NumberFormat:
    """A number format. `significand` counts the hidden bit; an integer has all its bits there and `exponent` 0."""

    name: str
    significand: int
    exponent: int
    storage: int

    @property
    def is_integer(self) -> bool:
        """Whether it has no exponent."""
        return self.exponent == 0


@cache
def number_format(name: str) -> NumberFormat:
    """The format called `name`, such as `"bf16"` or `"fp8_e4m3"`; raises `UnknownName` with the nearest names."""
    facts = load_facts("physics/number_formats")
    formats = facts["format"]
    known = facts["alias"].get(name, name)
    if known not in formats:
        raise unknown_name("number format", name, list_formats(), "`list_formats()` gives all of them.")
    bits = {key: int(value) for key, value in formats[known].items()}
    return NumberFormat(known, bits["significand"], bits.get("exponent", 0), bits["storage"])


def list_formats() -> list[str]:
    """All format names, short names included."""
    facts = load_facts("physics/number_formats")
    return sorted({*facts["format"], *facts["alias"]})


def storage_bits(name: str) -> int:
    """Bits that one element of the format takes in memory; raises `UnknownName`."""
    return number_format(name).storage
