"""Random numbers: counter-based generation per element drawn."""

from estimator.model.rules.access import Touch, touches
from estimator.model.rules.pointwise import per_output
from estimator.model.rules.registry import rule
from estimator.model.work import Signature, Work

DISTRIBUTION = {
    "aten.rand": "uniform", "aten.rand_like": "uniform", "aten.uniform": "uniform", "aten.randint": "uniform",
    "aten.randint_like": "uniform", "aten.random": "uniform", "aten.randn": "normal", "aten.randn_like": "normal",
    "aten.normal": "normal", "aten.exponential": "exponential", "aten.bernoulli_": "bernoulli",
    "aten.log_normal": "log_normal", "aten.geometric": "geometric", "aten.cauchy": "cauchy",
}  # fmt: skip


@rule(*DISTRIBUTION, kind="creation")
def draw(op: Signature) -> Work:
    """One number per output element."""
    name = op.op if op.op in DISTRIBUTION else op.op.removesuffix("_")
    return per_output(op, DISTRIBUTION[name])


@touches(*DISTRIBUTION)
def parameters_only(op: Signature) -> Touch:
    """Of the tensors only the distribution's parameters are read, never what is overwritten."""
    return Touch(only=("mean", "std", "p"))


@rule("aten.bernoulli")
def bernoulli(op: Signature) -> Work:
    """One number per element, compared with a tensor of probabilities."""
    return per_output(op, "bernoulli")


@rule("aten.native_dropout")
def dropout(op: Signature) -> Work:
    """Writes the result and the mask."""
    return per_output(op, "dropout")
