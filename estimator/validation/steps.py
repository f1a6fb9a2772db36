"""Suite "steps": one step of a bundled model in eager PyTorch, a prefill or a decoded token; and training steps likewise."""

from typing import Any

from estimator.hardware.schema import Profile
from estimator.model.architecture import Architecture
from estimator.run.phase import Phase, host_gaps, price
from estimator.run.settings import Training
from estimator.run.stack import load_stack
from estimator.run.training import training_phases, training_step
from estimator.validation.hardware import profile_of
from estimator.validation.prediction import Prediction
from estimator.validation.rows import NotPredicted, Row
from estimator.validation.serving import architecture_of, on_one_device


def predict(row: Row) -> Prediction:
    """Time and energy of one step; its `task` is a program of the model."""
    on_one_device(row)
    model, profile, task = architecture_of(row), profile_of(row), row.text("task")
    if task not in model.programs:
        raise NotPredicted(f"{model.name} has no step {task!r}; it has {', '.join(model.programs)}")
    return Prediction((_training if task == "training" else _inference)(model, row, profile), profile)


def _training(model: Architecture, row: Row, profile: Profile) -> tuple[Phase, ...]:
    length: dict[str, Any] = {"sequence_tokens": row.whole("input_len")} if "sequence" in model.programs["training"].symbols else {}
    run = Training(steps=1, batch=row.whole("batch_size"), optimizer=row.text("optimizer"), **length)
    stack = load_stack("eager")
    return tuple(training_phases(training_step(model, run, stack), 1, profile, stack))


def _inference(model: Architecture, row: Row, profile: Profile) -> tuple[Phase, ...]:
    stack, name = load_stack("eager"), row.text("task")
    columns = {"batch": "batch_size", "sequence": "input_len", "past": "context_len"}
    program = model.programs[name]
    sizes = {symbol: row.whole(columns[symbol]) for symbol in program.symbols}
    kernels = program.at(stack.fusion, **sizes)
    return price(name, kernels, profile, stack), host_gaps(profile, stack, steps=1, sequences=sizes["batch"])
