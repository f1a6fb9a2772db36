"""Measured rows as cells of the tidy schema (`estimator.validation.rows`), and a file that is written whole or not at all.

Beside the schema's columns: `power_sd_w` and `time_sd_s` (standard deviations of the windows), `repeats` and `window_s`,
`sensor_power_w`, `sm_clock_mhz`, `mem_clock_mhz` and `temp_c` (means of what the sensors said), `predicted_…` (with --predict, written
before anything was measured). `source_ref` names driver, device, date and torch. `trust` is A, or C where the windows differ.
"""

import csv
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from estimator.errors import InvalidSetting
from estimator.measurement.meter import Meter
from estimator.measurement.window import Measured
from estimator.units import KELVIN_AT_ZERO_CELSIUS, parse_quantity
from estimator.validation.prediction import Prediction, Steady
from estimator.validation.rows import Row

SCOPES = {"nvidia": "1 GPU, NVML", "amd": "1 GPU, amdsmi", "rapl": "processor packages, RAPL"}
DIGITS = 6  # exact: more than any sensor has
FIRST = (
    "row_id", "source", "source_ref", "kind", "task", "op", "model_id", "precision", "operands", "hardware", "n_gpus",
    "batch_size", "input_len", "context_len", "m", "n", "k", "size", "power_limit_w", "unit", "energy_j_per_unit", "avg_power_w",
    "time_s_per_unit",
)  # fmt: skip

Cells = dict[str, str]


@dataclass(frozen=True)
class Site:
    """Where and with what: the name of the hardware, its cap in W, and what a reader should know (driver, versions, date)."""

    hardware: str
    limit: float | None
    source: str
    facts: Mapping[str, str] = field(default_factory=dict)
    scope: str = ""

    @classmethod
    def of(cls, meter: Meter, source: str, hardware: str | None = None, **facts: str) -> "Site":
        """What the meter says about its device; `hardware` renames it to what the catalogue calls it."""
        how = "power readings, integrated" if meter.energy() is None else "energy counter"
        return cls(
            hardware or meter.name(), meter.limit(), source, {**meter.facts(), **facts}, f"{SCOPES.get(meter.kind, meter.kind)} {how}"
        )

    def placed(self, row: Row) -> Row:
        """The row on this hardware."""
        known = {"source": self.source, "source_ref": "; ".join(self.facts.values()), "hardware": self.hardware, "n_gpus": "1"}
        known |= {"power_limit_w": _text(self.limit), "energy_scope": self.scope}
        return Row(row.file, row.line, {**row.columns, **known})


def measured_cells(row: Row, measured: Measured) -> Cells:
    """A placed row with its results. Per second where that is its unit, else per call; spreads are standard deviations."""
    per_second = row.text("unit") == "second"
    window = measured.windows[0]
    return dict(row.columns) | {
        "energy_j_per_unit": _text(measured.power if per_second else measured.energy),
        "avg_power_w": _text(measured.power),
        "time_s_per_unit": "" if per_second else _text(measured.time),
        "power_sd_w": _text(measured.power_spread),
        "time_sd_s": "" if per_second else _text(measured.time_spread),
        "repeats": str(len(measured.windows)),
        "window_s": _text(window.seconds),
        "sensor_power_w": _text(measured.sensor_power),
        "sm_clock_mhz": _in(measured.core_clock, "1 MHz", "Hz"),
        "mem_clock_mhz": _in(measured.memory_clock, "1 MHz", "Hz"),
        "temp_c": _text(None if measured.temperature is None else measured.temperature - KELVIN_AT_ZERO_CELSIUS),
        "measured_or_derived": "measured",
        "trust": "A" if measured.steady else "C: windows differ by more than 5 %",
        "split": "dev",
    }


def predicted_cells(prediction: Prediction | Steady) -> Cells:
    """What is written down before the row is measured."""
    return {
        "predicted_energy_j": _text(prediction.energy),
        "predicted_time_s": _text(prediction.time),
        "predicted_power_w": _text(prediction.power),
    }


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.{DIGITS}g}"


def _in(value: float | None, unit: str, base: str) -> str:
    return _text(None if value is None else value / parse_quantity(unit, base))


def require_new(path: Path) -> None:
    """Raises `InvalidSetting` where the file could not be written at the end, or where measurements would be lost."""
    if path.exists():
        raise InvalidSetting(f"--out {str(path)!r} exists; measurements are not overwritten: choose another name, or remove it first")
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise InvalidSetting(f"--out {str(path)!r}: the folder {str(path.parent)!r} does not exist or may not be written to")


def write_whole(path: Path, rows: Sequence[Cells]) -> None:
    """All rows as CSV: first beside the file, then renamed, so that nobody ever sees half of it."""
    names = dict.fromkeys(FIRST) | dict.fromkeys(name for row in rows for name in row)
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("w", newline="", encoding="utf-8") as text:
            writer = csv.DictWriter(text, names, restval="")
            writer.writeheader()
            writer.writerows(rows)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
