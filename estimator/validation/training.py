"""Suite "training": epochs of small networks in eager PyTorch before 1.12, under power limits."""

from functools import cache
from importlib import import_module

from estimator.hardware.schema import Profile
from estimator.model.program import Program
from estimator.run.phase import Phase
from estimator.run.stack import Stack, load_stack
from estimator.run.training import training_phases
from estimator.validation.hardware import profile_of
from estimator.validation.prediction import Prediction
from estimator.validation.rows import NotPredicted, Row
from estimator.validation.serving import on_one_device

READS_TEXT = {"bert_base_uncased"}


@cache
def _stack() -> Stack:
    """Eager PyTorch before 1.12, which let matrix products of fp32 run in TF32 where the hardware can (PyTorch 1.12 release notes)."""
    return load_stack("eager").model_copy(update={"fp32_matmul_as_tf32": 1.0})


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
    """One pass over the training samples; the host is taken to keep up with the device."""
    on_one_device(row)
    network = row.text("network")
    tokens = row.whole("input_len", _tokens(row)) if network in READS_TEXT else 0
    batch, profile = row.whole("batch_size"), profile_of(row)
    name = f"{network} {row.text('dataset')}" if network in READS_TEXT else network
    program = _program(name, row.text("optimizer", "sgd"), tokens)
    phases = _priced(program, batch, profile)
    return Prediction(phases, profile, batch / row.positive("samples_per_epoch"))


def _tokens(row: Row) -> int | None:
    from estimator.validation.workloads import workloads

    known = workloads()["dataset"].get(row.text("dataset"), {})
    return int(known["tokens"]) if "tokens" in known else None


def _priced(program: Program, batch: int, profile: Profile) -> tuple[Phase, ...]:
    stack = _stack()
    return tuple(training_phases(program.at(stack.fusion, batch=batch), 1, profile, stack))
