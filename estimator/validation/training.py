"""Suite "training": epochs of small networks in eager PyTorch before 1.12, under power limits."""

from functools import cache
from importlib import import_module

from estimator.hardware.schema import Profile
from estimator.model.program import Program
from estimator.run.input import loader_of, waiting
from estimator.run.phase import Phase
from estimator.run.stack import load_stack
from estimator.run.training import training_phases
from estimator.validation.hardware import profile_of
from estimator.validation.prediction import Prediction
from estimator.validation.rows import NotPredicted, Row
from estimator.validation.serving import on_one_device
from estimator.validation.workloads import workloads

OF_SOME_LENGTH = {"bert_base_uncased", "deepspeech2"}  # they read text or speech


STACK = "eager-2021"


@cache
def _program(network: str, optimizer: str, tokens: int) -> Program:
    try:
        networks = import_module("estimator.validation.networks")
    except ImportError as error:
        raise NotPredicted(f"tracing the network needs torch and transformers: {error}") from None
    if network not in networks.NETWORKS or optimizer not in networks.OPTIMIZERS:
        raise NotPredicted(f"no definition of {network!r} with optimizer {optimizer!r}")
    return Program(("batch",), {"eager": networks.training_kernels(network, optimizer, tokens)})


def epoch(row: Row) -> Prediction:
    """One pass over the training samples, with the host's part: launching kernels, and decoding samples in worker processes."""
    on_one_device(row)
    network = row.text("network")
    tokens = row.whole("input_len", _tokens(row)) if network in OF_SOME_LENGTH else 0
    batch, profile = row.whole("batch_size"), profile_of(row)
    name = f"{network} {row.text('dataset')}" if network in OF_SOME_LENGTH else network
    program = _program(name, row.text("optimizer", "sgd"), tokens)
    phases = _priced(program, batch, profile)
    known = workloads()["dataset"].get(row.text("dataset"), {})
    if "input" in known:
        steps = row.positive("samples_per_epoch") / batch
        late = loader_of(known["input"]).wait(batch, sum(entry.time for phase in phases for entry in phase.entries), steps)
        phases = (*phases, waiting(late, profile, load_stack(STACK)))
    return Prediction(phases, profile, batch / row.positive("samples_per_epoch"))


def _tokens(row: Row) -> int | None:
    known = workloads()["dataset"].get(row.text("dataset"), {})
    return int(known["tokens"]) if "tokens" in known else None


def _priced(program: Program, batch: int, profile: Profile) -> tuple[Phase, ...]:
    stack = load_stack(STACK)
    return tuple(training_phases(program.at(stack.fusion, batch=batch), 1, profile, stack))
