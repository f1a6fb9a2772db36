"""Limits of the compiler whose grouping the "fused" mode follows."""

import tomllib
from functools import cache
from pathlib import Path


@cache
def limit(name: str) -> int:
    """`max_fusion_size`: operations that share a launch; `realize_reads_threshold`: tensors read by what is computed for each use."""
    with Path(__file__).with_suffix(".toml").open("rb") as file:
        return tomllib.load(file)[name]["value"]
