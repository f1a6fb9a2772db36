"""JSON of a `Trace`: tensors as {"t": [shape, format, expanded]}, strings of calls as indices into lists. Reading executes nothing."""

import json
from math import inf, nan
from typing import Any

from estimator.errors import TraceError
from estimator.model.work import PHASES, Signature, TensorSpec

SCHEMA = 2
SPECIAL = {"inf": inf, "-inf": -inf, "nan": nan}
SCALARS = ("name", "parameters", "parameter_bytes", "trainable_parameters", "buffers_bytes", "saved_bytes")


def encode(trace: Any) -> dict[str, Any]:
    """A trace as JSON-ready data."""
    modules = {module: index for index, module in enumerate(dict.fromkeys(call.module for call in trace.calls))}
    return {
        "schema": SCHEMA,
        **{name: getattr(trace, name) for name in SCALARS},
        "decisions": trace.decisions,
        "outputs": trace.outputs,
        "weights": trace.weights,
        "layers": [[layer.path, layer.kind, layer.output, layer.parameters] for layer in trace.layers],
        "modules": list(modules),
        "signatures": [[record.op, _encode(record.arguments), _encode(record.outputs)] for record in trace.signatures],
        "calls": [[call.signature, PHASES.index(call.phase), modules[call.module], call.reads, call.writes] for call in trace.calls],
    }


def decode(trace_class: Any, call_class: Any, layer_class: Any, text: str) -> Any:
    """The trace that `encode` wrote; raises `TraceError` for anything else."""
    try:
        data = json.loads(text)
        signatures = tuple(Signature(op, _decode(arguments), _decode(outputs)) for op, arguments, outputs in data["signatures"])
        calls = tuple(call_class(s, PHASES[p], data["modules"][m], tuple(r), tuple(w)) for s, p, m, r, w in data["calls"])
        scalars = {name: data[name] for name in SCALARS}
        if data["schema"] != SCHEMA or any(not 0 <= call.signature < len(signatures) for call in calls):
            raise ValueError(f"schema {data['schema']}, expected {SCHEMA}")
        notes = {name: tuple(data[name]) for name in ("decisions", "outputs", "weights")}
        layers = tuple(
            layer_class(path, kind, None if shape is None else tuple(shape), count) for path, kind, shape, count in data["layers"]
        )
        return trace_class(layers=layers, signatures=signatures, calls=calls, **scalars, **notes)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise TraceError(f"not a stored trace: {type(error).__name__}: {error}. Write it anew with Trace.to_json().") from None


def _encode(value: Any) -> Any:
    if isinstance(value, TensorSpec):
        return {"t": [value.shape, value.format, value.expanded]}
    if isinstance(value, tuple):
        return [_encode(item) for item in value]
    if isinstance(value, complex):
        return {"c": [_encode(value.real), _encode(value.imag)]}
    if isinstance(value, float) and (value != value or value in (inf, -inf)):
        return {"f": str(value)}
    return value


def _decode(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_decode(item) for item in value)
    if isinstance(value, dict):
        ((kind, content),) = value.items()
        if kind == "t":
            shape, format_, expanded = content
            return TensorSpec(tuple(shape), format_, tuple(expanded))
        return SPECIAL[content] if kind == "f" else complex(*(_decode(part) for part in content))
    return value
