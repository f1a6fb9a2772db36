"""Single queries to models that are not bundled: built on the meta device from their family and size, traced at the row's size.

What a row asks decides the head: text is classified or completed, pictures are classified, texts are continued token by token.
"""

import re
import tomllib
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from estimator.errors import TraceError
from estimator.hardware.schema import Profile
from estimator.model.work import Kernel
from estimator.run.phase import Phase, host_gaps, price
from estimator.run.stack import Stack, load_stack
from estimator.validation.diffusion import WIDTHS, generation, libraries_of
from estimator.validation.hardware import profile_of
from estimator.validation.prediction import Prediction
from estimator.validation.rows import NotPredicted, Row, RowFault
from estimator.validation.serving import bundled_query, on_one_device
from estimator.validation.workloads import workloads

Kernels = tuple[Kernel, ...]


@cache
def families() -> dict[str, Any]:
    """The tables of families.toml."""
    return tomllib.loads(Path(__file__).with_name("families.toml").read_text(encoding="utf-8"))


def asked(task: str) -> str:
    """What a task asks for: "text", "complete", "image", "generate" or "picture"; raises `NotPredicted` for others."""
    known = {name: kind for kind, names in workloads()["tasks"].items() if isinstance(names, list) for name in names}
    text = task.lower().replace("_", " ").replace("-", " ")
    if text not in known:
        raise NotPredicted(f"the task {task!r} has no model here")
    return known[text]


def family_of(model_id: str, kind: str) -> dict[str, Any] | None:
    """The family's table for a model's name; None where no family has such a name."""
    short = model_id.lower().rpartition("/")[2]
    for table in families()[{"complete": "text"}.get(kind, kind)]:
        if re.fullmatch(table["match"], short):
            return table
    return None


def query(row: Row) -> Prediction:
    """One query, from the row's model, task and lengths."""
    kind, profile, stack = asked(row.text("task")), profile_of(row), load_stack(libraries_of(row))
    on_one_device(row)
    if kind == "picture":
        return generation(row)
    if family_of(row.text("model_id"), kind) is None:
        return bundled_query(row, stack)
    batch, output = row.whole("batch_size", 1), row.whole("output_len", 1)
    length = row.whole("input_len", workloads()["query"]["tokens"])
    steps = kernels_of(row.text("model_id"), kind, _format(row), batch, length, output)
    phases = [price(name, kernels, profile, stack, steps=count) for name, kernels, count in steps]
    waits = sum(count for _, _, count in steps)
    return Prediction((*phases, *_host(kind, profile, stack, waits)), profile, float(batch))


def _host(kind: str, profile: Profile, stack: Stack, steps: float) -> tuple[Phase, ...]:
    """What the host does alone: Python around each step, and making a picture's pixels into numbers."""
    phases = (host_gaps(profile, stack, steps=steps),)
    if kind != "image" or stack.picture_input is None:
        return phases
    return (*phases, host_gaps(profile, stack.model_copy(update={"step_overhead": stack.picture_input}), steps=1.0))


def _format(row: Row) -> str:
    written = row.text("precision", "fp32").lower()
    for name, form in WIDTHS.items():
        if written.startswith(name):
            return form
    raise RowFault("precision", f"holds {row.text('precision')!r}: expected fp32, fp16 or bf16")


@cache
def kernels_of(
    model_id: str, kind: str, number_format: str, batch: int, length: int, output: int
) -> tuple[tuple[str, Kernels, float], ...]:
    """(phase, kernels, steps) of one query in eager mode. Needs torch and transformers; raises `NotPredicted` without them."""
    table = family_of(model_id, kind)
    if table is None:
        raise NotPredicted("no family of models has such a name")
    try:
        networks = import_module("estimator.validation.query_networks")
    except ImportError as error:
        raise NotPredicted(f"tracing the model needs torch and transformers: {error}") from None
    size = re.search(r"(?<=-)\d{3}(?!\d)", model_id)
    sides = {"image_size": int(size.group())} if kind == "image" and size else {}
    try:
        return networks.traced(table["family"], sides | table.get("config", {}), kind, number_format, batch, length, output)
    except TraceError as error:
        raise NotPredicted(f"{table['family']} cannot be traced: {str(error).partition('.')[0]}") from None
