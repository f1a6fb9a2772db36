"""`python -m estimator check`: the sanity that must hold, predicted beside published, from one transistor to one token."""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tabulate import tabulate

from estimator.api import estimate
from estimator.circuit.check import operation_energies
from estimator.hardware.catalogue import load_profile
from estimator.run.settings import Inference
from estimator.units import format_change, format_si
from estimator.validation import chip

ARITHMETIC_RMS = 0.13  # exact: the bound that the arithmetic law must keep over all published operations
IDLE, STREAM, GEMM, SERVING = 0.25, 0.30, 0.25, 0.35  # exact: the bounds stated for each comparison


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison in SI units; `bound` is the largest relative error that passes, None where it only informs."""

    group: str
    name: str
    predicted: float
    published: float
    unit: str
    bound: float | None
    excused: str = ""

    @property
    def error(self) -> float:
        """Relative error, signed."""
        return self.predicted / self.published - 1

    @property
    def passed(self) -> bool:
        """Within the bound, or excused for a stated reason."""
        return self.bound is None or bool(self.excused) or abs(self.error) <= self.bound


@cache
def published() -> dict[str, Any]:
    """The published figures that ship with the package."""
    return tomllib.loads(Path(__file__).with_name("published.toml").read_text(encoding="utf-8"))


def checks() -> Iterator[Check]:
    """All comparisons, lowest floor first."""
    yield from _arithmetic()
    for row in published()["chip"]:
        yield from _chip(row)
    for row in published()["serving"]:
        yield _serving(row)


def _arithmetic() -> Iterator[Check]:
    for row in operation_energies():
        yield Check("operation energy", row.name, row.predicted, row.published, "J", None)


def _chip(row: dict[str, Any]) -> Iterator[Check]:
    profile = load_profile(row["hw"])
    limit = float(profile.power.limit)
    if "idle" in row:
        yield Check("idle power", row["hw"], chip.idle(profile).power, row["idle"]["value"], "W", IDLE)
    if "context" in row:
        yield Check("idle power with a process", row["hw"], chip.idle_with_context(profile).power, row["context"]["value"], "W", IDLE)
    if "stream" in row:
        figure = row["stream"]
        streaming = profile.at(activity=figure["operands"]) if "operands" in figure else profile
        yield Check("streaming power", row["hw"], chip.stream(streaming).power, figure["value"], "W", STREAM)
    if "gemm_rate" in row:
        reading = chip.gemm(profile, row["gemm_rate"]["format"])
        yield Check("matrix product power", row["hw"], reading.power, limit, "W", GEMM, "at the cap" if reading.capped else "")
        yield Check("matrix product rate", row["hw"], reading.rate, row["gemm_rate"]["value"], "FLOP/s", None)


def _serving(row: dict[str, Any]) -> Check:
    run = Inference(**{name: row[name] for name in ("batch", "prompt_tokens", "cached_tokens", "output_tokens")})
    predicted = estimate(row["model"], row["hw"], run).energy_per_token
    name = f"{row['model']} on {row['hw']}, batch {row['batch']}"
    return Check("energy per output token", name, predicted, row["energy_per_token"]["value"], "J", SERVING)


def report() -> tuple[str, bool]:
    """The table of all checks, and whether everything with a bound keeps it."""
    done = list(checks())
    arithmetic = [check.error for check in done if check.group == "operation energy"]
    rms = (sum(error**2 for error in arithmetic) / len(arithmetic)) ** 0.5
    rows = [_line(check) for check in done]
    rows.append(
        ["operation energy", f"rms of {len(arithmetic)}", f"{rms:.1%}", "", "", f"≤ {ARITHMETIC_RMS:.0%}", _verdict(rms <= ARITHMETIC_RMS)]
    )
    passed = all(check.passed for check in done) and rms <= ARITHMETIC_RMS
    return tabulate(rows, ["check", "of", "predicted", "published", "error", "bound", ""], disable_numparse=True), passed


def _line(check: Check) -> list[str]:
    bound = "" if check.bound is None else f"± {check.bound:.0%}"
    verdict = "" if check.bound is None else check.excused or _verdict(check.passed)
    values = [format_si(check.predicted, check.unit), format_si(check.published, check.unit), format_change(check.error)]
    return [check.group, check.name, *values, bound, verdict]


def _verdict(passed: bool) -> str:
    return "ok" if passed else "FAILS"
