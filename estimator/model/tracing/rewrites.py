"""Operations that are not recorded as they arrive: taken apart, replaced by an opaque one, or answered from known values."""

from collections.abc import Callable
from typing import Any

import torch

from estimator.errors import TraceError
from estimator.model.tracing.failures import NeedsValue, place
from estimator.model.tracing.opaque import scaled_dot_product_attention
from estimator.model.tracing.quantised import linear_dynamic
from estimator.model.tracing.signatures import call_key

aten = torch.ops.aten
Rewrite = Callable[[Any, Any, tuple, dict], Any]


def rewrite_of(func: Any) -> Rewrite | None:
    """The rewrite of an operator, called as (recorder, func, args, kwargs); it may still decline with NotImplemented."""
    if isinstance(func, torch._ops.HigherOrderOperator):
        return _cond if func is torch.ops.higher_order.cond else _refuse
    rewrite = REWRITES.get(func._schema.name)
    if rewrite is not None:
        return rewrite
    native = torch._C._dispatch_has_kernel_for_dispatch_key
    # several overloads are both composite and native; only those without a kernel of their own are taken apart
    composite = func.namespace == "aten" and native(func.name(), "CompositeImplicitAutograd") and not native(func.name(), "CPU")
    return _decompose if composite else None


def _decompose(recorder, func, args, kwargs):
    with recorder:
        return func.decompose(*args, **kwargs)


def _refuse(recorder, func, args, kwargs):
    """Loops and the like, whose bodies a dispatch mode does not see."""
    where = place(recorder.attribution.stack[-1])
    raise TraceError(f"higher-order operator {func.name()} in {where} hides its body from a trace; write it as a Python loop or branch.")


def _attention(recorder, func, args, kwargs):
    with recorder:
        return scaled_dot_product_attention(recorder.note, *args, **kwargs)


def _grouped_mm(recorder, func, args, kwargs):
    """Products of ragged groups stay one operation in every dtype; equal groups are a batched product."""
    settings = dict(zip(("offs", "bias", "out_dtype"), args[2:], strict=False)) | kwargs
    (left, right), offsets, bias = args[:2], settings.get("offs"), settings.get("bias")
    with recorder:
        out = torch.bmm(left, right) if offsets is None else torch.ops.est.grouped_mm(left, right, offsets)
        out = out if bias is None else out + bias[:1]
        return out if settings.get("out_dtype") is None else out.to(settings["out_dtype"])


def _grouped_fallback(recorder, func, args, kwargs):
    with recorder:
        return torch.ops.est.grouped_mm(*args, **kwargs)


def _grouped_fallback_backward(recorder, func, args, kwargs):
    left, right, offsets, grad = args
    with recorder:
        grad_left = torch.ops.est.grouped_mm(grad, right.transpose(-2, -1), offsets)
        return grad_left, torch.ops.est.grouped_mm(left.transpose(-2, -1), grad, offsets)


def _kv_append(recorder, func, args, kwargs):
    """The grown cache stands for the memory of the old one: nothing but the new rows is allocated."""
    cache, new = args
    owner = recorder.storages.of(cache)
    grown = func(cache, new)
    recorder.storages.grow(grown, owner)
    recorder.record(call_key(func, args, kwargs), recorder.operator(func), func, args, kwargs, grown, [owner, recorder.storages.of(new)])
    return grown


def _to_copy(recorder, func, args, kwargs):
    """A copy to the host hands out known values; unknown ones stay on meta."""
    device = kwargs.get("device")
    if device is None or torch.device(device).type == "meta" or not args[0].is_meta:
        return NotImplemented
    values = recorder.shadows.get(args[0])
    recorder.note(f"copy of a {tuple(args[0].shape)} tensor to {device} in {recorder.attribution.stack[-1]!r} moves no data here")
    if values is not None:
        return values.to(kwargs.get("dtype") or values.dtype, copy=True)
    with recorder:
        return func(*args, **{**kwargs, "device": torch.device("meta")})


def _pack_padded_sequence(recorder, func, args, kwargs):
    """Lengths must be real: they decide how many rows each step has."""
    padded, lengths, *rest = args
    if not lengths.is_meta:
        return NotImplemented
    values = recorder.shadows.get(lengths)
    if values is None:
        raise NeedsValue("the lengths of packed sequences", recorder.attribution.stack[-1])
    with recorder:
        return func(padded, values, *rest, **kwargs)


def _cond(recorder, func, args, kwargs):
    """Both branches of `torch.cond` run; the costlier one stays in the trace."""
    _, when_true, when_false, operands = args
    start, branches = len(recorder.calls), []
    for branch in (when_true, when_false):
        with recorder:
            out = branch(*operands)
        calls = recorder.calls[start:]
        del recorder.calls[start:]
        branches.append((recorder.flop(calls), out, calls))
    index = int(branches[1][0] > branches[0][0])
    recorder.note(f"torch.cond in {recorder.attribution.stack[-1]!r}: assumed the costlier branch ({('true', 'false')[index]})")
    recorder.calls += branches[index][2]
    return branches[index][1]


REWRITES: dict[str, Rewrite] = {
    "aten::scaled_dot_product_attention": _attention,
    "aten::_grouped_mm": _grouped_mm,
    "transformers::grouped_mm_fallback": _grouped_fallback,
    "transformers::grouped_mm_fallback_backward": _grouped_fallback_backward,
    "est::kv_append": _kv_append,
    "quantized::linear_dynamic": linear_dynamic,
    "aten::_to_copy": _to_copy,
    "aten::_pack_padded_sequence": _pack_padded_sequence,
}
