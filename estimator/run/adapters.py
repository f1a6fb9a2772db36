"""Low-rank adapters (Hu et al., LoRA, arXiv:2106.09685; Dettmers et al., QLoRA, arXiv:2305.14314) and frozen layers."""

from collections.abc import Iterable
from dataclasses import replace

from estimator.model.architecture import Architecture
from estimator.model.weights import weights_of
from estimator.model.work import BYTES, Kernel
from estimator.run.settings import Training

PACKED = "int4"


def trained_parameters(model: Architecture, run: Training) -> float:
    """Weights that get a gradient: all that are not frozen, or rank × (rows + columns) beside each hidden matrix."""
    if run.trainable == "all":
        return model.parameters * (1 - run.frozen)
    hidden = [weight for weight in weights_of(model.programs["training"].kernels["eager"]) if weight.hidden]
    return float(sum(run.rank * sum(weight.spec.shape[-2:]) * weight.count for weight in hidden))


def held_bytes(model: Architecture, run: Training) -> float:
    """Bytes of the weights as they are held, adapters included: QLoRA packs those that are frozen into four bits."""
    if run.trainable != "qlora":
        return model.parameter_bytes + (trained_parameters(model, run) * BYTES[model.format] if run.trainable == "lora" else 0.0)
    return model.parameters * BYTES[PACKED] + trained_parameters(model, run) * BYTES[model.format]


def is_weight_gradient(lifted: Kernel) -> bool:
    """Whether a kernel of a lifted program makes a weight's gradient: the size of its result depends on no batch."""
    return (
        lifted.phase == "backward"
        and lifted.kind == "matmul"
        and all(isinstance(size, int) for signature in lifted.signatures for out in signature.outputs for size in out.shape)
    )


def without_frozen(kernels: Iterable[Kernel], lifted: Iterable[Kernel], run: Training) -> tuple[Kernel, ...]:
    """`kernels` without the gradients of frozen weights; what adapters add is the share of their weights in all, and small."""
    kept = 1 - run.frozen if run.trainable == "all" else 0.0
    if kept == 1:
        return tuple(kernels)
    pairs = ((one, is_weight_gradient(form)) for one, form in zip(kernels, lifted))
    return tuple(replace(one, count=one.count * kept) if gradient else one for one, gradient in pairs if kept or not gradient)
