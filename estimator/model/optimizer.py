"""The optimizer step of a lifted model: one fused kernel over all parameters, and the state that it keeps."""

from typing import Any

from estimator.model.rules.optimizer import MASTER_FORMAT, STATES
from estimator.model.work import BYTES, Kernel, Signature, TensorSpec


def optimizer_signature(name: str, parameters: tuple[TensorSpec, ...]) -> Signature:
    """One call that updates all `parameters` with optimizer `name`; its moments, and the master copy of narrow weights, are fp32."""
    arguments = (("name", name), ("parameters", parameters), ("state_format", MASTER_FORMAT), ("master", _has_master(parameters[0].format)))
    return Signature("est.optimizer_step", arguments, parameters)


def optimizer_kernel(name: str, parameters: Any, number_format: str) -> Kernel:
    """The fused step over `parameters` weights held in `number_format`."""
    signature = optimizer_signature(name, (TensorSpec((parameters,), number_format),))
    return Kernel(signature.op, "optimizer", "optimizer", "", (signature,), format=MASTER_FORMAT)


def state_bytes(name: str, parameters: Any, number_format: str) -> Any:
    """Bytes of moments and master weights that the optimizer keeps on the device."""
    copies = STATES[name] + _has_master(number_format)
    return parameters * copies * BYTES[MASTER_FORMAT]


def _has_master(number_format: str) -> bool:
    return BYTES[number_format] < BYTES[MASTER_FORMAT]
