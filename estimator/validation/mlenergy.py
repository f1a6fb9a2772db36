"""The public ML.ENERGY leaderboard's own files: `public/data/tasks/*.json` beside `public/data/index.json`.

Each task file lists configurations with `model_id`, `gpu_model`, `num_gpus`, `avg_batch_size`, `energy_per_token_joules`,
`energy_per_request_joules` and `output_throughput_tokens_per_sec`; the index holds each model's `weight_precision`
(github.com/ml-energy/leaderboard, scripts/build_data.py). Prompt lengths are not in them: see workloads.toml. Expert
parallelism and stalls are not in them either, so no row is flagged.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from estimator.validation.workloads import workloads

Line = tuple[str, int, dict[str, str] | str]  # file, position, columns of the tidy schema or what is wrong
WANTED = ("model_id", "gpu_model", "num_gpus", "avg_batch_size", "energy_per_token_joules", "energy_per_request_joules")


def read(folder: Path) -> Iterator[Line]:
    """Every configuration below a checkout (or its `public/data`), as columns of the tidy schema or as the text of a fault."""
    for root in (folder, folder / "public" / "data"):
        index = root / "index.json"
        if index.is_file() and (root / "tasks").is_dir():
            precision = _precisions(index)
            for path in sorted((root / "tasks").glob("*.json")):
                yield from _task(path, precision)


def _precisions(index: Path) -> dict[str, str]:
    try:
        models = json.loads(index.read_text(encoding="utf-8"))["models"]
        return {name: str(facts["weight_precision"]) for name, facts in models.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _task(path: Path, precision: Mapping[str, str]) -> Iterator[Line]:
    try:
        configurations = json.loads(path.read_text(encoding="utf-8"))["configurations"]
    except (ValueError, KeyError, TypeError) as error:
        yield path.name, 0, f"is no task file of the leaderboard: {error!r}"
        return
    for index, configuration in enumerate(configurations, 1):
        missing = [name for name in WANTED if configuration.get(name) is None]
        if path.stem in workloads()["prompt"]:
            yield path.name, index, f"has no {', '.join(missing)}" if missing else _columns(path, index, configuration, precision)
        elif not missing:
            yield path.name, index, _common(path, index, configuration, precision) | {"kind": "multimodal_serving"}


def _common(path: Path, index: int, given: Mapping[str, Any], precision: Mapping[str, str]) -> dict[str, str]:
    rate = given.get("output_throughput_tokens_per_sec")
    measured = {"time_s_per_unit": 1 / rate, "avg_power_w": given["energy_per_token_joules"] * rate} if rate else {}
    columns = {
        "row_id": f"{path.stem}:{index}",
        "kind": "llm_serving",
        "task": path.stem,
        "model_id": given["model_id"],
        "precision": precision.get(given["model_id"], "bfloat16"),
        "hardware": given["gpu_model"],
        "n_gpus": given["num_gpus"],
        "batch_size": given["avg_batch_size"],
        "output_len": given["energy_per_request_joules"] / given["energy_per_token_joules"],
        "unit": "output_token",
        "energy_j_per_unit": given["energy_per_token_joules"],
        **measured,
    }
    return {name: str(value) for name, value in columns.items()}


def _columns(path: Path, index: int, given: Mapping[str, Any], precision: Mapping[str, str]) -> dict[str, str]:
    prompt = workloads()["prompt"][path.stem]
    lengths = {"input_len": str(float(prompt["tokens"])), "input_len_uncached_est": str(float(prompt["uncached"]))}
    return _common(path, index, given, precision) | lengths
