"""The public Zeus power trace: `summary_power_{gpu}.csv` with one training epoch a row.

Columns `dataset`, `network`, `batch_size`, `optimizer`, `power_limit` (W), `time_per_epoch` (s), `average_power` (W)
(github.com/ml-energy/zeus, examples/research_reproducibility/zeus_nsdi23/trace/README.md; You et al., NSDI 2023). The sizes
of the data sets are not in it: see workloads.toml.
"""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

from estimator.validation.workloads import workloads

Line = tuple[str, int, dict[str, str] | str]  # file, line, columns of the tidy schema or what is wrong
PREFIX = "summary_power_"
COLUMNS = ("dataset", "network", "batch_size", "optimizer", "power_limit", "time_per_epoch", "average_power")
FOLDERS = ("", "trace", "examples/research_reproducibility/zeus_nsdi23/trace")


def read(folder: Path) -> Iterator[Line]:
    """Every epoch below a checkout or the trace's own folder, as columns of the tidy schema or as the text of a fault."""
    for place in FOLDERS:
        for path in sorted((folder / place).glob(f"{PREFIX}*.csv")):
            yield from _file(path)


def _file(path: Path) -> Iterator[Line]:
    with path.open(newline="", encoding="utf-8", errors="replace") as text:
        reader = csv.DictReader(text)
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            yield path.name, 0, f"has no column {', '.join(missing)}"
            return
        for columns in reader:
            yield path.name, reader.line_num, _tidy(path, reader.line_num, columns)


def _tidy(path: Path, line: int, given: Mapping[str, str]) -> dict[str, str] | str:
    if any(given[name] is None for name in COLUMNS):
        return "has fewer cells than the header"
    data = workloads()["dataset"].get(given["dataset"], {})
    return {
        "row_id": f"{path.stem}:{line}",
        "kind": "training_epoch",
        "task": given["dataset"],
        "model_id": given["network"],
        "hardware": path.stem.removeprefix(PREFIX),
        "n_gpus": "1",
        "batch_size": given["batch_size"],
        "optimizer": given["optimizer"].lower(),
        "power_limit_w": given["power_limit"],
        "samples_per_epoch": str(float(data["samples"])) if "samples" in data else "",
        "input_len": str(float(data["tokens"])) if "tokens" in data else "",
        "dataset": given["dataset"],
        "network": given["network"],
        "unit": "epoch",
        "time_s_per_unit": given["time_per_epoch"],
        "avg_power_w": given["average_power"],
    }
