"""Published figures that ship with the package, as rows like any other: each with its citation, a few of every kind."""

import tomllib
from pathlib import Path

from estimator.validation.protocol import stated
from estimator.validation.rows import Row

FILE = "published_rows.toml"
MEASURED = {"energy": "energy_j_per_unit", "time": "time_s_per_unit", "power": "avg_power_w"}


def published_rows() -> list[Row]:
    """Every figure of published_rows.toml; `energy` (J), `time` (s) and `power` (W) are per unit, other keys are columns of the schema."""
    groups = tomllib.loads(Path(__file__).with_name(FILE).read_text(encoding="utf-8"))["group"]
    rows: list[Row] = []
    for group in groups:
        shared = {key: value for key, value in group.items() if key != "row"}
        for given in group["row"]:
            columns = {MEASURED.get(key, key): str(value) for key, value in (shared | given).items()}
            rows.append(stated(Row(FILE, len(rows) + 1, {"row_id": f"published:{len(rows) + 1:03d}"} | columns)))
    return rows
