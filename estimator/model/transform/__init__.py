"""A model with lighter weights: quantised, sparse, or with heads or layers taken out.

    schemes.py    how quantised weights are stored (schemes.toml)
    products.py   one matrix product with a packed weight
    weights.py    all of them, in a lifted architecture or a trace
    structure.py  layers and heads taken out
    routing.py    how tokens spread over experts

    quantize(load_architecture("llama-3.1-8b"), "int4")
    prune(quantize(model, "fp8"), "2:4")

What was done is listed in the model's `decisions`, and so in the assumptions of every estimate. Training steps stay as they are.
"""

from dataclasses import replace
from typing import Any, TypeVar

from estimator.errors import InvalidSetting, unknown_name
from estimator.model.architecture import Architecture
from estimator.model.trace import Trace
from estimator.model.transform.products import Change
from estimator.model.transform.routing import BALANCED, exponent, route_architecture, route_trace
from estimator.model.transform.schemes import scheme, schemes
from estimator.model.transform.structure import without_heads, without_layers
from estimator.model.transform.weights import pack_architecture, pack_trace

__all__ = ["KINDS", "SKIP", "prune", "quantize", "route", "schemes"]
KINDS = ("unstructured", "2:4", "heads", "layers")
SKIP = ("lm_head", "proj_out", "cls.*", "classifier", "gate", "router")  # what published quantised models leave wide: heads and routers
Model = TypeVar("Model", bound=Architecture | Trace)


def quantize(model: Model, weights: str, *, group_size: int | None = None, activations: bool = True, skip: tuple[str, ...] = SKIP) -> Model:
    """`model` with the weights of its matrix products stored as "int8", "int4", "fp8", "mxfp4" or "nvfp4", scales included.

    int8, int4 and mxfp4 hold weights only: each product converts them back to the format of the activations, and says what that
    costs. fp8 and nvfp4 narrow the activations as well and multiply natively, unless `activations` is False, as it must be on a
    device that cannot. `group_size` elements share
    a scale (default: as the scheme has it); `skip` are patterns of module paths that stay as they are, embeddings always do.
    Raises `UnknownName`, or `InvalidSetting` for a trace of a training step and where no product has such a weight.
    """
    _check_model(model)
    how = scheme(weights)
    if group_size is not None and group_size < 1:
        raise InvalidSetting(f"group_size={group_size!r}: expected a whole number of at least 1, or None for the scheme's own")
    group = how.group if group_size is None else group_size
    changed, elements, held = _packed(model, Change(tuple(skip), how, group, narrow=activations))
    narrow = how.activation if activations else ""
    product = f"activations are narrowed to {narrow} for each product" if narrow else "each product converts them back on the way in"
    note = f"{elements:.4g} weights are held in {how.name}, {_bits(elements, held)} each with scales ({how.source}); {product}"
    done: dict[str, Any] = {"held_in": None} if isinstance(changed, Architecture) else {}
    return replace(changed, decisions=(*model.decisions, note), **done)


def _bits(elements: float, held: float) -> str:
    return f"{8 * held / elements:.3g} bits"  # exact: bits of a byte


def prune(model: Model, kind: str, share: float | None = None, *, skip: tuple[str, ...] = SKIP) -> Model:
    """`model` with a `share` (0 … 1) of its weights taken out.

    "unstructured": zeros anywhere; dense hardware gains nothing, which the decisions say. "2:4": two of every four, half the
    multiply-adds on tensor units made for it. "layers", "heads": that share of each stack, of an `Architecture` only.
    Raises `UnknownName`, or `InvalidSetting` for a share out of range and for layers or heads of a trace.
    """
    _check_model(model)
    if kind not in KINDS:
        raise unknown_name("kind of pruning", kind, KINDS, "See prune().")
    if kind == "2:4":
        return _half(model, share, skip)
    if share is None or not 0 <= share < 1:
        raise InvalidSetting(f"share={share!r}: expected the share of {kind} to prune, at least 0 and below 1")
    if kind == "unstructured":
        note = f"{share:.0%} of the weights are zero, anywhere: dense hardware multiplies zeros like other numbers, so nothing is saved"
        return replace(model, decisions=(*model.decisions, note))
    if isinstance(model, Trace):
        raise InvalidSetting(f"{kind} of a trace cannot be pruned afterwards: take them out of the module and trace that.")
    changed: Any
    changed, left = (without_layers if kind == "layers" else without_heads)(model, share)
    what = f"layers were pruned, left are {left}" if kind == "layers" else f"{share:.0%} of the heads were pruned in {left}"
    return replace(changed, decisions=(*model.decisions, what))


def route(model: Model, routing: str | float = BALANCED) -> Model:
    """`model` with its tokens spread over its experts: "balanced", "zipf" (exponent 1), or after Zipf's law with that exponent.

    How many different experts a step touches decides which weights it reads. A model without experts comes back as it is.
    Raises `InvalidSetting` for anything else.
    """
    _check_model(model)
    zipf = exponent(routing)
    changed: Any = route_trace(model, zipf) if isinstance(model, Trace) else route_architecture(model, zipf)
    return changed


def _check_model(model: object) -> None:
    if not isinstance(model, (Architecture, Trace)):
        raise InvalidSetting(f"model={model!r}: expected an Architecture, from load_architecture(name), or a Trace, from trace(module, …)")


def _half(model: Model, share: float | None, skip: tuple[str, ...]) -> Model:
    if share not in (None, 0.5):
        raise InvalidSetting(f"share={share!r}: 2:4 sparsity prunes exactly half; leave share out")
    changed, elements, held = _packed(model, Change(tuple(skip), sparse=True))
    note = (
        f"{elements:.4g} weights are sparse by 2:4, {_bits(elements, held)} each with their places; products are assumed to run at "
        "twice the dense rate, as on tensor units made for it (NVIDIA since Ampere): profiles hold dense rates only"
    )
    return replace(changed, decisions=(*model.decisions, note))


def _packed(model: Architecture | Trace, change: Change) -> tuple[Any, float, float]:
    changed, elements, held = pack_trace(model, change) if isinstance(model, Trace) else pack_architecture(model, change)
    if not elements:
        raise InvalidSetting(f"{model.name} has no matrix product with a weight outside {', '.join(change.skip) or 'no module'}")
    return changed, elements, held
