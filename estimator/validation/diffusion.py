"""Suite "diffusion", and single queries that make images: bundled pipelines in the eager mode of their library.

Columns: `img_h`, `img_w`, `frames`, `steps`, `cfg_passes`, `batch_size`, `ulysses_degree`, `ring_degree`; what a row leaves empty
is the pipeline's own default.
"""

from functools import cache

from estimator.model.architecture import Architecture, load_architecture
from estimator.model.transform.recast import recast
from estimator.run.diffusion import Diffusion, diffusion_phases
from estimator.run.stack import load_stack
from estimator.validation.hardware import profile_of
from estimator.validation.prediction import Prediction
from estimator.validation.rows import NotPredicted, Row
from estimator.validation.serving import bundled_of
from estimator.validation.workloads import workloads

SETTINGS = {
    "batch": "batch_size",
    "height": "img_h",
    "width": "img_w",
    "frames": "frames",
    "steps": "steps",
    "passes": "cfg_passes",
    "ulysses": "ulysses_degree",
    "ring": "ring_degree",
}
WIDTHS = {"fp16": "fp16", "float16": "fp16", "bf16": "bf16", "bfloat16": "bf16", "fp32": "fp32", "float32": "fp32"}


def generation(row: Row) -> Prediction:
    """Images or videos of one pipeline call, one unit each."""
    model, profile = pipeline_of(row), profile_of(row)
    given = {name: row.whole(column) for name, column in SETTINGS.items() if row.text(column)}
    run = Diffusion(**given).resolved(model)
    if run.cut.devices != row.whole("n_gpus", 1):
        raise NotPredicted(f"ulysses_degree and ring_degree do not make {row.whole('n_gpus', 1)} devices")
    phases = diffusion_phases(model, run, profile, load_stack(libraries_of(row)))
    return Prediction(tuple(phases), profile, float(run.batch), run.cut.devices)


def libraries_of(row: Row) -> str:
    """The stack of the libraries that the row names; today's where it names none."""
    notes = row.text("notes").lower()
    return "pipeline-2023" if any(version in notes for version in workloads()["libraries"]["of_2023"]) else "pipeline"


def pipeline_of(row: Row) -> Architecture:
    """The bundled pipeline of the row's model in the row's number format; raises `NotPredicted` where there is none."""
    model, _ = bundled_of(row)
    if model.kind != "diffusion":
        raise NotPredicted(f"{model.name} is no diffusion pipeline")
    written = row.text("precision").lower()
    wanted = next((form for text, form in WIDTHS.items() if written.startswith(text)), None)
    return _in_format(model.name, wanted) if wanted else model


@cache
def _in_format(name: str, number_format: str) -> Architecture:
    return recast(load_architecture(name), number_format)
