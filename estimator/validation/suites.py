"""Which suite a row belongs to, what predicts it, and by what its rows are grouped."""

from collections.abc import Callable
from dataclasses import dataclass

from estimator.validation import diffusion, kernels, microbench, paced, queries, serving, steps, systems, training, training_runs
from estimator.validation.prediction import Prediction, Steady
from estimator.validation.rows import NotPredicted, Row

Predictor = Callable[[Row], Prediction | Steady]


@dataclass(frozen=True)
class Suite:
    """A name, the predictor of each kind of row, the labels that its groups are made of, and whose structural error it has.

    To add a kind of row, name it here with a function from a `Row` to a `Prediction` (phases on a profile) or a `Steady` power.
    """

    name: str
    kinds: dict[str, Predictor]
    by: tuple[str, ...]
    structural: str


def _later(reason: str) -> Predictor:
    def refuse(row: Row) -> Prediction:
        raise NotPredicted(reason)

    return refuse


SUITES = (
    Suite("kernels", {"kernel": kernels.predict, "paced": paced.predict}, ("hardware", "task", "precision", "cap"), "kernel"),
    Suite("microbench", {"microbench": microbench.predict}, ("hardware", "op"), "kernel"),
    Suite("training", {"training_epoch": training.epoch, "optimizer_step": steps.predict,
                       "training_step": _later("batch and steps of a window are not stated")},
          ("hardware", "network", "dataset"), "training"),
    Suite("steps", {"model_step": steps.predict}, ("hardware", "task", "model"), "inference"),
    Suite("serving", {"llm_serving": serving.generation, "multimodal_serving": serving.generation},
          ("hardware", "task", "model"), "serving"),
    Suite("diffusion", {"diffusion": diffusion.generation}, ("hardware", "task"), "diffusion"),
    Suite("inference", {"inference_batch1": queries.query, "llm_generate_no_kvcache": serving.without_cache}, ("hardware", "source"),
          "inference"),
    Suite("systems", {"inference": systems.offline, "host_power": systems.host}, ("hardware", "task"), "system"),
    Suite("training-runs", {"training_run": training_runs.predict}, ("inputs", "source"), "training-run"),
)  # fmt: skip
BY_KIND = {kind: suite for suite in SUITES for kind in suite.kinds}
NAMES = tuple(suite.name for suite in SUITES)


def kind_of(row: Row) -> str:
    """The row's kind; a microbenchmark of a known kernel is of the kind "kernel"."""
    kind = row.text("kind")
    return "kernel" if kind == "microbench" and row.text("task") in kernels.BENCHMARKS else kind


def suite_of(row: Row) -> str:
    """Name of the suite that predicts the row; "" for a kind that none does."""
    found = BY_KIND.get(kind_of(row))
    return found.name if found else ""


def structural_kind(row: Row, prediction: Prediction | Steady) -> str:
    """The table of `physics/structural_error.toml` that a prediction falls under: its suite's, or that of power at rest."""
    return "idle" if isinstance(prediction, Steady) else BY_KIND[kind_of(row)].structural
