"""Reads measured rows from a folder: tidy CSV files, an ML.ENERGY leaderboard checkout, a Zeus trace folder.

What cannot be read is a `Fault` that names file, row and column; the rest goes on.
"""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from estimator.errors import InvalidSetting
from estimator.validation import mlenergy, zeus_trace
from estimator.validation.protocol import stated
from estimator.validation.rows import MEASURED, NEEDED, Row


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that could not be read; `line` counts the header as 1, and is 0 for a whole file. `rows` are lost by it."""

    file: str
    line: int
    column: str
    message: str
    rows: int = 1

    def __str__(self) -> str:
        place = ", ".join([self.file, *([f"row {self.line}"] if self.line else []), *([f"column {self.column}"] if self.column else [])])
        return f"{place}: {self.message}"


def read_data(path: Path) -> tuple[list[Row], list[Fault]]:
    """All rows of one tidy CSV file, or of a folder; raises `InvalidSetting` where there are none."""
    return read_csv(path) if path.is_file() else read_folder(path)


def read_folder(folder: Path) -> tuple[list[Row], list[Fault]]:
    """All rows below `folder` in whichever of the formats it holds; raises `InvalidSetting` if it holds none of them."""
    if not folder.is_dir():
        raise InvalidSetting(
            f"--data {str(folder)!r}: no such file or folder; give a tidy CSV file, or a folder of them, a leaderboard or a trace"
        )
    rows: list[Row] = []
    faults: list[Fault] = []
    read = False
    for path in sorted(folder.glob("*.csv")):
        if _is_tidy(path):
            read = True
            mine, wrong = read_csv(path)
            rows += mine
            faults += wrong
    for reader in (mlenergy, zeus_trace):
        for file, line, columns in reader.read(folder):
            read = True
            if isinstance(columns, str):
                faults.append(Fault(file, line, "", columns))
            else:
                rows.append(Row(file, line, columns))
    if not read:
        raise InvalidSetting(
            f"--data {str(folder)!r} holds no measured rows: expected CSV files with the columns {', '.join(NEEDED)}, … "
            "or a checkout of the ML.ENERGY leaderboard or of the Zeus trace"
        )
    return rows, faults


def _is_tidy(path: Path) -> bool:
    """Whether a CSV claims to be of the schema: it has at least two of the needed columns."""
    with path.open(newline="", encoding="utf-8", errors="replace") as text:
        header = next(csv.reader(text), [])
    return len(set(NEEDED) & set(header)) > 1


def read_csv(path: Path) -> tuple[list[Row], list[Fault]]:
    """The rows of one tidy CSV file; a missing column is one `Fault` for the whole file."""
    with path.open(newline="", encoding="utf-8", errors="replace") as text:
        reader = csv.DictReader(text)
        lines = [(reader.line_num, columns) for columns in reader]
    missing = [name for name in NEEDED if name not in (reader.fieldnames or ())]
    if missing or not set(MEASURED) & set(reader.fieldnames or ()):
        wanted = missing or [" or ".join(MEASURED)]
        return [], [Fault(path.name, 0, ", ".join(wanted), "is missing: no row of the file can be used", len(lines))]
    return _rows(path.name, lines)


def _rows(file: str, lines: Iterable[tuple[int, dict]]) -> tuple[list[Row], list[Fault]]:
    rows, faults = [], []
    for line, columns in lines:
        ragged = None in columns or None in columns.values()
        if ragged:
            faults.append(Fault(file, line, "", "has more or fewer cells than the header"))
        else:
            rows.append(stated(Row(file, line, columns)))
    return rows, faults


def select(rows: Iterable[Row], names: Iterable[str], suite_of) -> Iterator[Row]:
    """Rows of the named suites or files (without `.csv`); all of them where nothing is named."""
    wanted = set(names)
    for row in rows:
        if not wanted or suite_of(row) in wanted or Path(row.file).stem in wanted:
            yield row
