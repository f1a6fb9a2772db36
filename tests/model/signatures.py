"""Signatures for tests of rules: written by hand, or of a torch call on meta tensors."""

import torch

from estimator.model.tracing.formats import tensor_spec
from estimator.model.tracing.signatures import bound_arguments, tensors_in
from estimator.model.work import Signature, TensorSpec


def tensor(*shape, format="fp32", expanded=()):
    return TensorSpec(shape, format, expanded)


def signature(op, *outputs, **arguments):
    """A signature with these arguments in this order."""
    return Signature(op, tuple(arguments.items()), outputs)


def meta(*shape, dtype=torch.float32):
    return torch.empty(shape, dtype=dtype, device="meta")


def called(overload, *args, **kwargs):
    """The signature of a call of an aten overload, run on meta tensors, as the tracer would record it."""
    out = overload(*args, **kwargs)
    outputs = tensors_in((out,)) or tensors_in(args[:1])
    op = overload._schema.name.replace("::", ".")
    return Signature(op, bound_arguments(overload._schema, args, kwargs), tuple(map(tensor_spec, outputs)))
