"""Puts fitted values into the files that hold them: the value alone changes, and its note says from what, when and on which rows.

Comments, order and ranges stay. A number is either a table of its own, `[clock.tree_capacitance]`, or a line of one,
`tree_capacitance = { … }`. What was written is read again: if anything else changed, nothing is written at all.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from estimator.errors import ProfileError
from estimator.validation.calibration.constants import CALIBRATED
from estimator.validation.calibration.fitting import Calibration, Fitted
from estimator.validation.calibration.report import MOVED, files

DIGITS = 4  # exact: significant digits of a fitted value
HEADER = re.compile(r"^\s*\[([^\[\]]+)\]")


def write(found: Calibration, day: date) -> list[Path]:
    """Rewrite the constants that moved in their files and return these. Raises `ProfileError` where a number cannot be found."""
    texts: dict[Path, str] = {}
    for one in found.fitted:
        if abs(one.moved) >= MOVED or float(one.constant.prior) != one.constant.current:
            home = one.constant.home
            text = texts.get(home) or home.read_text(encoding="utf-8")
            texts[home] = rewritten(text, one.constant.path, fields(one, files(found), day), home.name)
    for home, text in texts.items():
        home.write_text(text, encoding="utf-8")
    return list(texts)


def fields(one: Fitted, used: Mapping[str, int], day: date) -> dict[str, str]:
    """The TOML literals of a calibrated number: value and status; `note` is what its note ends with."""
    scale = one.constant.scale
    on = f"{sum(used.values())} rows of {', '.join(used)}"
    record = f"calibrated {day.isoformat()} from {float(one.constant.prior) / scale:.{DIGITS}g} on {on}"
    return {"value": f"{one.value / scale:.{DIGITS}g}", "status": '"derived"', "note": record}


def rewritten(text: str, path: str, new: Mapping[str, str], where: str) -> str:
    """`text` with the number at `path` changed; raises `ProfileError` if that would change anything else."""
    lines = text.splitlines(keepends=True)
    table, _, key = path.rpartition(".")
    spot = next(_own_table(lines, path), None)
    if spot is not None:
        lines[slice(*spot)] = _in_table(lines[slice(*spot)], new)
    else:
        index = next(_line_of(lines, table, key), None)
        if index is None:
            raise ProfileError(f"{where}: {path} is neither a table of its own nor a line of one; write it as one of them")
        lines[index] = _in_line(lines[index], new)
    result = "".join(lines)
    if _without(tomllib.loads(text), path) != _without(tomllib.loads(result), path):
        raise ProfileError(f"{where}: {path} cannot be changed without changing its neighbours; edit it by hand")
    return result


def _own_table(lines: list[str], path: str) -> Iterator[tuple[int, int]]:
    """First line and end of the table `[path]`."""
    starts = [(index, found.group(1).strip()) for index, line in enumerate(lines) if (found := HEADER.match(line))]
    for (index, name), after in zip(starts, [*(start for start, _ in starts[1:]), len(lines)]):
        if name == path:
            yield index, after


def _line_of(lines: list[str], table: str, key: str) -> Iterator[int]:
    """The line `key = { … }` in `[table]`, or above all tables where that is empty."""
    here = ""
    for index, line in enumerate(lines):
        if found := HEADER.match(line):
            here = found.group(1).strip()
        elif here == table and re.match(rf"\s*{re.escape(key)}\s*=\s*\{{", line):
            yield index


def _in_table(lines: list[str], new: Mapping[str, str]) -> list[str]:
    written = set()
    for index, line in enumerate(lines):
        key = line.partition("=")[0].strip()
        if key in new and "=" in line:
            old = tomllib.loads(line)[key]
            lines[index] = f"{key} = {_literal(key, new[key], old)}\n"
            written.add(key)
    last = max(index for index, line in enumerate(lines) if line.strip())
    return [*lines[: last + 1], *(f"{key} = {_literal(key, new[key], '')}\n" for key in new if key not in written), *lines[last + 1 :]]


def _in_line(line: str, new: Mapping[str, str]) -> str:
    key = line.partition("=")[0].rstrip()
    old: dict[str, Any] = tomllib.loads(line)[key.strip()]
    start, end = line.index("{"), _closing(line)
    entries = {name: _dumped(value) for name, value in old.items()}
    entries |= {name: _literal(name, value, old.get(name, "")) for name, value in new.items()}
    return f"{key} = {{ {', '.join(f'{name} = {value}' for name, value in entries.items())} }}{line[end + 1 :]}" if start else line


def _closing(line: str) -> int:
    """Where the inline table ends: the last brace that leaves a valid line before it."""
    for index in range(len(line) - 1, 0, -1):
        if line[index] == "}":
            try:
                tomllib.loads(line[: index + 1])
            except tomllib.TOMLDecodeError:
                continue
            if not line[index + 1 :].strip() or line[index + 1 :].lstrip().startswith("#"):
                return index
    raise ProfileError(f"no inline table in {line.strip()!r}")


def _literal(key: str, new: str, old: Any) -> str:
    """The literal of a field; a note keeps what it said, apart from an earlier calibration."""
    if key != "note":
        return new
    before = CALIBRATED.sub("", str(old)).strip()
    return _dumped(f"{before}; {new}" if before else new)


def _dumped(value: Any) -> str:
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"' if isinstance(value, str) else f"{value:g}" if isinstance(value, float) else str(value)


def _without(table: Mapping[str, Any], path: str) -> dict[str, Any]:
    """The table without the value, status and note at `path`."""
    head, _, rest = path.partition(".")
    if rest:
        return {**table, head: _without(table[head], rest)}
    return {**table, head: {key: value for key, value in table[head].items() if key not in ("value", "status", "note")}}
