"""What the public data sets leave unsaid about their workloads: prompt lengths, data set sizes, names of hardware and models."""

import tomllib
from functools import cache
from pathlib import Path
from typing import Any


@cache
def workloads() -> dict[str, Any]:
    """The tables of workloads.toml."""
    return tomllib.loads(Path(__file__).with_name("workloads.toml").read_text(encoding="utf-8"))
