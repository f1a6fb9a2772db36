"""Optimizer updates: one pass over parameters, gradients and states.

`est.optimizer_step` is a fused step: it reads parameter, gradient and states and writes parameter and states, at the FLOP per
parameter of the update equations in the table. With master weights the update happens on an fp32 copy, and the parameter in
its own format is only written.
"""

from collections.abc import Iterable

from estimator.errors import unknown_name
from estimator.model.rules.access import Touch, touches
from estimator.model.rules.registry import moved, rule
from estimator.model.rules.table import flop_per_element
from estimator.model.rules.updates import UPDATES, UpdateRule
from estimator.model.work import BYTES, Dim, Signature, TensorSpec, Work

MASTER_FORMAT = "fp32"
DECOUPLED = {"adamw", "adamw8bit", "lion", "muon"}  # their entries include weight decay
FUSED = {"aten._fused_adam": "adam", "aten._fused_adamw": "adamw", "aten._fused_sgd": "sgd", "aten._fused_adagrad": "adagrad"}
FUSED_STATES = ("exp_avgs", "exp_avg_sqs", "state_sums", "momentum_buffer_list")
MOMENTUM_FREE = {"aten._fused_sgd"}

# Torch's lists-of-tensors operations, each the element-wise operation of the same name on every tensor of the first list.
FOREACH = (
    "abs", "acos", "add", "addcdiv", "addcmul", "asin", "atan", "ceil", "clamp_max", "clamp_min", "cos", "cosh", "div", "erf",
    "erfc", "exp", "expm1", "floor", "frac", "lerp", "log", "log10", "log1p", "log2", "maximum", "minimum", "mul", "neg", "pow",
    "reciprocal", "round", "rsqrt", "sigmoid", "sign", "sin", "sinh", "sqrt", "sub", "tan", "tanh", "trunc", "norm", "max",
)  # fmt: skip


def elements(tensors: Iterable[TensorSpec]) -> Dim:
    """Number of elements in all of `tensors`."""
    return sum(tensor.elements for tensor in tensors)


def _update(op: Signature, name: str, count: Dim) -> tuple[Dim, Dim]:
    """(vector, special) FLOP of one update; weight decay that is not decoupled adds g += decay · p."""
    entry = flop_per_element(name)
    decay = 2 if op.get("weight_decay", 0) and name not in DECOUPLED else 0
    return (entry.vector + decay) * count, entry.special * count


@rule("est.optimizer_step", kind="optimizer")
def optimizer_step(op: Signature) -> Work:
    """Raises `UnknownName` for an optimizer that has no update equation."""
    parameters = _listed(op["parameters"])
    gradients = _listed(op.get("gradients") or op["parameters"])
    update, width = update_of(op["name"]), BYTES[op.get("state_format") or MASTER_FORMAT]
    updates = [update(parameter, width) for parameter in parameters]
    held, count = sum(spec.bytes for spec in parameters), elements(parameters)
    master = count * BYTES[MASTER_FORMAT] if op.get("master") else 0
    both_ways = sum(part.state_bytes + part.scratch for part in updates)
    passes = updates[0].gradient_reads, updates[0].parameter_reads
    read = passes[0] * sum(spec.bytes for spec in gradients) + passes[1] * (master or held) + both_ways
    decay = 2 * count if op.get("weight_decay", 0) and op["name"] not in DECOUPLED else 0
    vector = sum(part.vector for part in updates) + decay
    return Work((), vector, sum(part.special for part in updates), read, held + master + both_ways)


def update_of(name: str) -> UpdateRule:
    """The update equations of a named optimizer; raises `UnknownName` for others."""
    if name not in UPDATES:
        raise unknown_name("optimizer", name, UPDATES, "Give its update equation in updates.py, with its FLOP in pointwise.toml.")
    return UPDATES[name]


def _listed(tensors: TensorSpec | tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
    return (tensors,) if isinstance(tensors, TensorSpec) else tensors


@rule(*FUSED, kind="optimizer")
def fused_step(op: Signature) -> Work:
    """Torch's fused step over lists of tensors; SGD keeps a state only with momentum."""
    base = op.op.removesuffix("_")
    name = "momentum" if base in MOMENTUM_FREE and op.get("momentum", 0) else FUSED[base]
    vector, special = _update(op, name, elements(op["self"]))
    return moved(op, vector=vector, special=special)


@touches(*FUSED)
def fused_operands(op: Signature) -> Touch:
    """Gradients are read only; of the step counters nothing worth counting."""
    states = tuple(spec for name in FUSED_STATES for spec in op.get(name) or () if isinstance(spec, TensorSpec))
    if op.op.removesuffix("_") in MOMENTUM_FREE and not op.get("momentum", 0):
        states = ()
    return Touch(only=("self", "grads", *(FUSED_STATES if states else ())), writes=(*op["self"], *states))


def _foreach_rule(name: str) -> None:
    entry = flop_per_element(name)

    @rule(f"aten._foreach_{name}", kind="optimizer")
    def foreach(op: Signature) -> Work:
        count = elements(op["self"] if isinstance(op["self"], tuple) else op.outputs)
        return moved(op, vector=entry.vector * count, special=entry.special * count)


for _name in FOREACH:
    _foreach_rule(_name)


@rule("aten._foreach_copy", "aten._foreach_zero", kind="optimizer")
def foreach_move(op: Signature) -> Work:
    """Bytes only."""
    return moved(op)


@touches("aten._foreach_copy")
def foreach_sources(op: Signature) -> Touch:
    """The destinations are overwritten unread."""
    return Touch(only=("src",))


@touches("aten._foreach_zero")
def foreach_nothing(op: Signature) -> Touch:
    """Only writes."""
    return Touch(only=())
