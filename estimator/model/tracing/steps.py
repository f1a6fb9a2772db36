"""The loss that starts backward, and the optimizer step that ends a training step."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import is_dataclass
from functools import reduce
from math import prod
from typing import Any

import torch

from estimator.errors import InvalidSetting, TraceError
from estimator.model.optimizer import NEWTON_SCHULZ_STEPS, OPTIMIZERS, optimizer_signature, shares
from estimator.model.tracing.formats import tensor_spec
from estimator.model.tracing.replace import replaced
from estimator.model.tracing.signatures import tensors_in
from estimator.model.tracing.standins import StandIns

FUSED = {torch.optim.SGD: "sgd", torch.optim.Adam: "adam", torch.optim.AdamW: "adamw"}


def loss_of(output: Any, loss: Callable[[Any], torch.Tensor] | None) -> torch.Tensor:
    """A real scalar to differentiate: `loss(output)`, `output.loss`, or the sum of all floating-point outputs."""
    value = loss(output) if loss is not None else getattr(output, "loss", None)
    if value is None:
        parts = [torch.view_as_real(t) if t.is_complex() else t for t in floating(output) if t.requires_grad]
        value = reduce(torch.add, (part.sum() for part in parts)) if parts else None
    if not isinstance(value, torch.Tensor) or not value.requires_grad:
        raise TraceError(
            f"backward=True needs an output that depends on trainable weights; the loss is {_kind(value)}. "
            "Unfreeze parameters, pass loss=callable(output), or trace with backward=False."
        )
    return value.sum() if value.dim() else value


def floating(output: Any) -> list[torch.Tensor]:
    """The floating-point or complex tensors of an output: a tensor, or nested containers of them."""
    if isinstance(output, dict):  # includes the output records of transformers and diffusers
        output = tuple(output.values())
    elif is_dataclass(output):
        output = tuple(vars(output).values())
    if isinstance(output, (list, tuple)):
        return [tensor for item in output for tensor in floating(item)]
    found = tensors_in((output,))
    return [tensor for tensor in found if tensor.is_floating_point() or tensor.is_complex()]


def optimizer_name(optimizer: Any) -> str | None:
    """The optimizer to record as one fused step, or None for an instance whose `step()` is to be traced."""
    if isinstance(optimizer, torch.optim.Optimizer):
        name = FUSED.get(type(optimizer))
        if name is None or not any(group.get("fused") for group in optimizer.param_groups):
            return None
        return "momentum" if name == "sgd" and any(group["momentum"] for group in optimizer.param_groups) else name
    if optimizer in OPTIMIZERS:
        return optimizer
    raise InvalidSetting(f"optimizer={optimizer!r}: expected one of {', '.join(OPTIMIZERS)}, or a torch.optim.Optimizer instance")


def fused_step(recorder: Any, name: str, parameters: list[torch.Tensor], tables: set[torch.Size]) -> None:
    """One record that reads and writes every trainable parameter; the rule adds gradients and state. Muon's products come first.

    `tables` are the shapes of embeddings, which a head shares.
    """
    if not parameters:
        raise TraceError(f"optimizer={name!r}: the model has no trainable parameter. Unfreeze parameters or drop the optimizer.")
    hidden = [parameter for parameter in parameters if parameter.dim() > 1 and parameter.shape not in tables]
    others = [parameter for parameter in parameters if parameter.dim() < 2 or parameter.shape in tables]
    for part, mine in shares(name, hidden, others):
        if part == "muon":
            orthogonalise(mine)
        index = recorder.signatures.add(optimizer_signature(part, tuple(map(tensor_spec, mine))))
        storages = tuple(recorder.storages.of(parameter).uid for parameter in mine)
        recorder.calls.append((index, "optimizer", "", storages, storages))


@torch.no_grad()
def orthogonalise(matrices: tuple[torch.Tensor, ...]) -> None:
    """Newton-Schulz steps as in torch.optim.Muon, without its coefficients, which change no work."""
    for matrix in matrices:
        *stack, rows, columns = matrix.flatten(1).shape if matrix.dim() > 3 else matrix.shape  # exact: filters become rows
        for _ in range(prod(stack)):
            x = torch.empty(sorted((rows, columns)), dtype=torch.bfloat16, device="meta")
            for _ in range(NEWTON_SCHULZ_STEPS):
                gram = x @ x.mT
                x = torch.addmm(x, torch.addmm(gram, gram, gram), x)


def traced_step(recorder: Any, optimizer: torch.optim.Optimizer, stand_ins: StandIns) -> None:
    """Run `step()` of an optimizer instance on the stand-ins; the instance comes back as it was."""
    groups = [{**group, "params": [stand_ins.of(parameter) for parameter in group["params"]]} for group in optimizer.param_groups]
    with replaced(optimizer, "param_groups", groups), replaced(optimizer, "state", defaultdict(dict)):
        with replaced(recorder, "recording", False):  # the first step makes the state
            optimizer.step()
        recorder.storages.exempt(*tensors_in(value for state in optimizer.state.values() for value in state.values()))
        optimizer.step()


def _kind(value: Any) -> str:
    return "a constant" if isinstance(value, torch.Tensor) else repr(value)
