"""What spreading a model over devices needs to know of it: layers, width, experts, weights; read off its lifted training step."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

from estimator.model.architecture import Architecture
from estimator.model.optimizer import optimizer_kernels, state_bytes
from estimator.model.polynomial import Polynomial
from estimator.model.work import Kernel
from estimator.run.settings import Training

GROUPED, LOSS = "est.grouped_mm", "aten._log_softmax"


@dataclass(frozen=True)
class Shape:
    """Sizes of a model: `width` of the residual stream, `heads` of queries (0: not told), `experts` in a layer, weights in all experts."""

    model: Architecture
    layers: int
    width: float
    heads: int
    experts: int
    expert_parameters: float
    expert_layers: int
    picks: float

    @cached_property
    def dense_parameters(self) -> float:
        """Weights outside of experts."""
        return self.model.parameters - self.expert_parameters

    @cached_property
    def scores(self) -> Polynomial:
        """Scores of attention in a forward pass: one for each head, query and key."""
        kernels = [kernel for kernel in self.model.programs["training"].kernels["eager"] if kernel.phase == "forward"]
        pairs = [(s["query"].shape, s["key"].shape, k.launches) for k in kernels for s in k.signatures if s.op == "est.attention"]
        return Polynomial.constant(0) + sum(prod(query[:-1]) * key[-2] * launches for query, key, launches in pairs)

    @cached_property
    def logits(self) -> Polynomial:
        """Numbers that go into the softmax of the loss."""
        kernels = [kernel for kernel in self.model.programs["training"].kernels["eager"] if kernel.phase == "forward"]
        found = [s.outputs[0].elements * k.launches for k in kernels for s in k.signatures if s.op == LOSS]
        return Polynomial.constant(0) + sum(found)


def shape_of(model: Architecture) -> Shape:
    """The `Shape` of a model that can be trained."""
    kernels = [k for k in model.programs["training"].kernels["eager"] if k.phase == "forward"]
    layers = {layer for kernel in kernels for layer in kernel.layers}
    grouped = [kernel for kernel in kernels if is_expert(kernel)]
    weights = [(kernel.signatures[0]["weight"].shape, kernel.launches) for kernel in grouped]
    queries = [s["query"].shape[1] for k in kernels for s in k.signatures if s.op == "est.attention"]
    return Shape(
        model=model,
        layers=max(len(layers), 1),
        width=_width(kernels),
        heads=int(queries[0]) if queries else 0,
        experts=int(weights[0][0][0]) if weights else 1,
        expert_parameters=float(sum(prod(shape) * count for shape, count in weights)),
        expert_layers=len({layer for kernel in grouped for layer in kernel.layers}),
        picks=_picks(grouped),
    )


def is_expert(kernel: Kernel) -> bool:
    """Whether a kernel multiplies by the weights of experts."""
    return any(signature.op == GROUPED for signature in kernel.signatures)


def _width(kernels: Iterable[Kernel]) -> float:
    """Columns of what goes into the head, the last product; of a picture classifier, its features."""
    products = [s for k in kernels if k.kind == "matmul" for s in k.signatures if s.inputs]
    inner = [spec.shape[-1] for s in products[-1:] for spec in s.inputs if len(spec.shape) > 1]
    return float(inner[0]) if inner else 0.0


def _picks(grouped: list[Kernel]) -> float:
    """Experts that each token is sent to."""
    if not grouped:
        return 0.0
    rows = grouped[0].signatures[0]["input"].shape[0]
    return float(rows(batch=1, sequence=1)) if callable(rows) else float(rows)


def optimizer_of(model: Architecture, run: Training, parameters: float | None = None) -> tuple[Kernel, ...]:
    """The optimizer's kernels over all weights, or over `parameters` of them."""
    count = model.parameters if parameters is None else max(round(parameters), 1)
    return optimizer_kernels(str(run.optimizer), count, model.format, model.programs["training"].kernels["eager"])


def state_of(kernels: Iterable[Kernel]) -> float:
    """Bytes that the named optimizers among `kernels` keep from step to step."""
    signatures = [signature for kernel in kernels for signature in kernel.signatures]
    return float(sum(state_bytes(signature) for signature in signatures if signature.op == "est.optimizer_step"))


def sizes_of(symbols: Iterable[str], batch: Any, tokens: Any) -> dict[str, Any]:
    """The program's sizes at a batch and a sequence length."""
    given = {"batch": batch, "sequence": tokens, "target": tokens}
    return {symbol: given[symbol] for symbol in symbols}
