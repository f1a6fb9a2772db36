"""One measured row, whatever file it came from: what ran, on what, and the joules and seconds that were read off.

Columns of the tidy schema. Needed: `row_id`, `kind`, `hardware`, `unit` and at least one of `energy_j_per_unit`,
`time_s_per_unit`, `avg_power_w`. All measured columns are in SI units per `unit` (token, image, call, epoch, …; the unit
"second" makes the energy a power in W). `kind` and `task` say what was run, and the suite that predicts it says which other
columns it reads; `operands` (random, zeros, ones) is what the tensors held, random where nothing is said. Reported
apart from the scores: `stall_flag`, `host_bound_flag`, `split` = dev_hostbound or timecheck_only, and a `trust` that begins with C or D.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite

from estimator.errors import EstimatorError
from estimator.units import SECONDS_PER_HOUR

NEEDED = ("row_id", "kind", "hardware", "unit")
MEASURED = ("energy_j_per_unit", "time_s_per_unit", "avg_power_w")
AT_CAP = 0.9  # exact: the share of the power cap from which a row counts as "at cap", by convention


class RowFault(EstimatorError):
    """A cell that cannot be read: which column, what it holds and what was expected."""

    def __init__(self, column: str, message: str) -> None:
        super().__init__(message)
        self.column = column


class NotPredicted(EstimatorError):
    """A row that is sound but whose workload the estimator cannot state yet; the message is the reason."""


@dataclass(frozen=True)
class Row:
    """A measured row: `columns` as text, and where it stands (`line` counts the header as 1)."""

    file: str
    line: int
    columns: Mapping[str, str] = field(repr=False)

    def text(self, column: str, default: str = "") -> str:
        """The cell without blanks around it; `default` where it is empty or missing."""
        return (self.columns.get(column) or "").strip() or default

    def number(self, column: str, default: float | None = None) -> float:
        """The cell as a finite number; raises `RowFault` if it is none, or empty without a `default`."""
        text = self.text(column)
        if not text:
            if default is None:
                raise RowFault(column, "is empty: expected a number")
            return default
        try:
            value = float(text)
        except ValueError:
            raise RowFault(column, f"holds {text!r}: expected a number") from None
        if not isfinite(value):
            raise RowFault(column, f"holds {text!r}: expected a finite number")
        return value

    def positive(self, column: str) -> float:
        """As `number`, above zero."""
        value = self.number(column)
        if value <= 0:
            raise RowFault(column, f"holds {self.text(column)!r}: expected a number above zero")
        return value

    def whole(self, column: str, default: int | None = None) -> int:
        """As `number`, above zero, rounded to a whole number of at least 1."""
        value = self.number(column, default)
        if value <= 0:
            raise RowFault(column, f"holds {self.text(column)!r}: expected a number above zero")
        return max(1, round(value))

    def is_set(self, column: str) -> bool:
        """Whether a flag column says true."""
        return self.text(column).lower() in ("true", "1", "yes")

    @property
    def row_id(self) -> str:
        return self.text("row_id", f"{self.file}:{self.line}")

    @property
    def time(self) -> float | None:
        """Measured seconds per unit; None where none were measured, or where the unit is the second itself."""
        if self.text("unit") == "second":
            return None
        if not self.text("time_s_per_unit") and self.text("accel_hours"):
            return self.positive("accel_hours") * SECONDS_PER_HOUR  # of all devices together
        return self.positive("time_s_per_unit") if self.text("time_s_per_unit") else None

    @property
    def energy(self) -> float | None:
        """Measured joules per unit; from power and time where only those are given. None where it is a product of TDP and hours."""
        if self.text("split") == "timecheck_only":
            return None
        if self.text("energy_j_per_unit"):
            return self.positive("energy_j_per_unit")
        seconds = 1.0 if self.text("unit") == "second" else self.time
        return self.positive("avg_power_w") * seconds if self.text("avg_power_w") and seconds else None

    @property
    def given_time(self) -> float | None:
        """Seconds that the measured energy took."""
        return 1.0 if self.text("unit") == "second" else self.time

    @property
    def cap(self) -> str:
        """ "at cap" from 90 % of the power limit, "below cap" otherwise, "" where power or limit are unknown."""
        limit = self.number("power_limit_w", 0.0) * self.number("n_gpus", 1.0)
        if not limit or not self.text("avg_power_w"):
            return ""
        return "at cap" if self.number("avg_power_w") >= AT_CAP * limit else "below cap"

    @property
    def apart(self) -> str:
        """Why the row is reported apart from the scores; empty if it counts."""
        split, trust = self.text("split"), self.text("trust")
        reasons = {
            "stalled": self.is_set("stall_flag"),
            "host-bound": self.is_set("host_bound_flag") or split == "dev_hostbound",
            "time check only": split == "timecheck_only",
            "low trust": trust[:1] in ("C", "D"),
        }
        return next((reason for reason, holds in reasons.items() if holds), "")
