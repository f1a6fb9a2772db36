"""A profile of one's own card: what the catalogue says of a part like it, with the constants that its measurements moved."""

from collections.abc import Sequence
from datetime import date

from estimator.hardware.catalogue import find_profile, load_profile
from estimator.run.uncertainty_samples import AT_END
from estimator.validation.calibration.fitting import Calibration, Fitted, calibrate
from estimator.validation.calibration.problem import value_at
from estimator.validation.calibration.report import MOVED, UNKNOWN, files
from estimator.validation.rows import Row


def calibrate_like(rows: Sequence[Row], like: str, limit: int | None = None) -> Calibration:
    """Fits the constants of one card to its rows, taking it for the part `like` of the catalogue. Raises `UnknownName`."""
    part = find_profile(like).stem
    return calibrate([Row(row.file, row.line, {**row.columns, "hardware": part}) for row in rows], anywhere=True, limit=limit)


def profile_text(found: Calibration, like: str, day: date) -> str:
    """TOML of a profile that inherits `like` and states what the measurements say, each number with the range that they leave."""
    used = files(found)
    on = f"{sum(used.values())} rows of {', '.join(used)}"
    lines = [
        f'inherits = "{find_profile(like).stem}"',
        f'name = "{load_profile(like).name}, calibrated"',
        f'source = "calibrated {day.isoformat()} on {on}"',
        'status = "derived"',
    ]
    told = [one for one in found.fitted if abs(one.moved) >= MOVED or one.spread < UNKNOWN]
    tables: dict[str, list[Fitted]] = {}
    for one in told:
        if one.constant.owner == "hardware":
            tables.setdefault(one.constant.path.rpartition(".")[0], []).append(one)
    for table, members in tables.items():
        lines += ["", f"[{table}]", *(f"{one.constant.path.rpartition('.')[2]} = {_entry(one)}" for one in members)]
    software = [f"# {one.constant.name} = {_entry(one)}" for one in told if one.constant.owner == "stack"]
    return "\n".join([*lines, *(["", "# Of the software stack, which is no part of a profile:"] if software else []), *software]) + "\n"


def _entry(one: Fitted) -> str:
    prior = one.constant.prior
    low, high = (float(value_at(one.constant, one.moved + side * AT_END * one.spread)) for side in (-1, 1))
    low, high = max(low, prior.low), min(high, prior.high)
    ends = f"low = {min(low, one.value):.5g}, high = {max(high, one.value):.5g}"
    note = f"{prior:.4g} ({prior.low:.4g} … {prior.high:.4g}) before"
    return f'{{ value = {one.value:.5g}, {ends}, unit = "{prior.unit}", note = "{note}" }}'
