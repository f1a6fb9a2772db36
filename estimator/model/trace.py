"""`Trace`: every operation of one call of a model, where it happened and in which phase. Plain data; needs no torch to be read.

`estimator.model.tracing.trace` makes one from a module; `Trace.from_json` reads a stored one.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from estimator.errors import InvalidSetting, TraceError
from estimator.model import rules
from estimator.model.cross_check import CrossCheck
from estimator.model.summary import by_module, summary
from estimator.model.trace_json import decode, encode
from estimator.model.work import Kernel, Signature, Work


@dataclass(frozen=True, slots=True)
class Call:
    """One operation as it ran: index of its signature, phase, module path, and the allocations it read and wrote.

    `reads[i]` is the allocation of `signature.inputs[i]`, `writes[i]` that of `signature.outputs[i]`; arguments that are
    overwritten without being returned follow at the end of `writes`.
    """

    signature: int
    phase: str
    module: str
    reads: tuple[int, ...]
    writes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of a trace has a rule: shares of calls, of distinct operators and of bytes moved; and what has none."""

    calls: float
    ops: float
    bytes: float
    unknown: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Layer:
    """One module: path, class, shape of the first tensor it returned (None: none, or never called), parameters of its own.

    A parameter that several modules share is counted at the first of them.
    """

    path: str
    kind: str
    output: tuple[int, ...] | None
    parameters: int


@dataclass(frozen=True)
class Trace:
    """One forward pass, or one training step, of a model.

    parameters, trainable_parameters: counts, shared weights once; parameter_bytes, buffers_bytes: their sizes [B].
    saved_bytes: peak of inputs, activations and temporaries alive at once [B]; weights, gradients and optimizer state excluded.
    decisions: every guess that was made. outputs: allocations of the model's floating-point outputs; weights: of its parameters.
    layers: the modules, outer before inner.
    recount: calls other counters on the traced module, as long as it lives; not stored.
    """

    name: str
    signatures: tuple[Signature, ...]
    calls: tuple[Call, ...]
    parameters: int
    parameter_bytes: float
    trainable_parameters: int
    buffers_bytes: float
    saved_bytes: float
    decisions: tuple[str, ...] = ()
    outputs: tuple[int, ...] = ()
    weights: tuple[int, ...] = ()
    layers: tuple[Layer, ...] = ()
    recount: Callable[[], CrossCheck] | None = field(default=None, compare=False, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"recount": None}

    @property
    def flop(self) -> float:
        """Everything executed: matrix, vector and special-function FLOP."""
        return self._total("flop")

    @property
    def matmul_flop(self) -> float:
        """Matrix products, convolutions and attention, masks counted dense, 2 per multiply-add: as torch's counter counts."""
        return self._total("matmul_flop")

    @property
    def tensor_flop(self) -> float:
        """As `matmul_flop`, without the blocks that masks let a kernel skip."""
        return self._total("tensor_flop")

    @cached_property
    def coverage(self) -> Coverage:
        """What share of the trace is known to the rules."""
        counts, moved = Counter[str](), Counter[str]()
        for call in self.calls:
            op, work = self.signatures[call.signature].op, self._work[call.signature]
            counts[op] += 1
            moved[op] += work.read + work.write
        known = [op for op in counts if rules.is_known(op)]
        unknown = tuple((op, count) for op, count in counts.most_common() if not rules.is_known(op))
        shares = (sum(part[op] for op in known) / max(part.total(), 1) for part in (counts, Counter(dict.fromkeys(counts, 1)), moved))
        calls, ops, bytes_ = shares if counts else (1.0, 1.0, 1.0)
        return Coverage(calls, ops, bytes_, unknown)

    def rows(self, by: str = "op") -> list[dict[str, Any]]:
        """Calls, FLOP and bytes per "op", "module", "phase" or "call", in order of first appearance; sums equal the totals."""
        if by not in KEYS:
            raise InvalidSetting(f"rows by {by!r}: expected one of {', '.join(KEYS)}")
        return self.gather((KEYS[by](self, index, call), call) for index, call in enumerate(self.calls))

    def by_module(self, depth: int | None = None) -> list[dict[str, Any]]:
        """Rows per module path, cut after `depth` names: as `rows`, and parameters, output shape and FLOP per byte.

        Modules that run nothing but hold parameters have rows too, so that every column sums to the total of the trace.
        """
        return by_module(self, depth)

    def summary(self, depth: int | None = 2) -> str:
        """A table as of torchinfo: layer, output shape, parameters, FLOP, bytes, arithmetic intensity; what has no rule below it.

        Layers down to `depth` names; where the layers inside one are shown, its own row holds only what happens between them.
        """
        return summary(self, depth)

    def cross_check(self) -> CrossCheck:
        """Matrix FLOP of the same call by torch's FlopCounterMode and by fvcore, every disagreement with its cause.

        Raises `TraceError` where there is no module: in a stored trace, or after the model was deleted.
        """
        if self.recount is None:
            raise TraceError(f"trace {self.name!r} has no module to count again; trace the module and ask that trace.")
        return self.recount()

    def kernels(self, fusion: str = "eager") -> tuple[Kernel, ...]:
        """The launches on a device: one per operation ("eager"), or with pointwise neighbours joined ("fused")."""
        from estimator.model.fusion import kernels

        return kernels(self, fusion)

    def to_json(self) -> str:
        """The trace as JSON text."""
        return json.dumps(encode(self), separators=(",", ":"), allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "Trace":
        """A trace from `to_json`; raises `TraceError` for anything else."""
        return decode(cls, Call, Layer, text)

    @cached_property
    def _work(self) -> tuple[Work, ...]:
        return tuple(rules.work_of_signature(signature) for signature in self.signatures)

    def _total(self, quantity: str) -> float:
        values = [getattr(work, quantity) for work in self._work]
        return sum(values[call.signature] for call in self.calls)

    def gather(self, named: Iterable[tuple[str, Call]]) -> list[dict[str, Any]]:
        """Rows of calls under the names that they are given."""
        rows: dict[str, dict[str, Any]] = {}
        sizes = [(w.flop, w.matmul_flop, w.read, w.write) for w in self._work]
        for name, call in named:
            row = rows.setdefault(name, {"name": name, "calls": 0, "flop": 0, "matmul_flop": 0, "read": 0, "write": 0, "bytes": 0})
            flop, matmul_flop, read, write = sizes[call.signature]
            row["calls"] += 1
            row["flop"] += flop
            row["matmul_flop"] += matmul_flop
            row["read"] += read
            row["write"] += write
            row["bytes"] += read + write
        return list(rows.values())


KEYS = {
    "op": lambda trace, index, call: trace.signatures[call.signature].op,
    "module": lambda trace, index, call: call.module,
    "phase": lambda trace, index, call: call.phase,
    "call": lambda trace, index, call: f"{index} {call.module} {trace.signatures[call.signature].op}",
}
