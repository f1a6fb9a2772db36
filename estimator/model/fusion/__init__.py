"""Which launches a trace becomes: one per operation, or operations grouped as a compiler groups them; repeats counted.

`kernels(trace, "eager")` gives every operation its own launch. `kernels(trace, "fused")` joins element-wise operations,
reductions, gathers and copies between two matrix products (see `groups`), moving between memory and chip only what enters or
leaves a group (see `traffic`). `kernels(trace, "serving")` also merges what serving engines merge (see `merging`). In each case
identical launches, in one layer or over many, become one `Kernel` (see `folding`).
"""

from dataclasses import replace
from typing import Any

from estimator.errors import unknown_name
from estimator.model.fusion.accumulation import accumulations, part_of_product
from estimator.model.fusion.dataflow import Dataflow
from estimator.model.fusion.folding import fold, unfold
from estimator.model.fusion.groups import group_calls
from estimator.model.fusion.merging import appending
from estimator.model.fusion.operation import Operation, operations
from estimator.model.fusion.residence import resident_of_calls, resident_of_groups
from estimator.model.fusion.saving import Saving
from estimator.model.fusion.traffic import Traffic
from estimator.model.rules import format_of, kind_of
from estimator.model.saved import Part
from estimator.model.work import Kernel, TensorSpec

__all__ = ["fold", "kernels", "saved", "unfold"]
MODES = ("eager", "fused", "serving")
KIND_ORDER = ("matmul", "reduction", "gather", "pointwise", "copy", "creation")  # the member that decides how fast a group runs


def kernels(trace: Any, fusion: str = "eager") -> tuple[Kernel, ...]:
    """The launches of a `Trace`, folded; views and bare allocations launch nothing.

    Linear in the number of calls. Raises `UnknownName` for another fusion than "eager", "fused" or "serving".
    """
    calls, per_signature = _launching(trace, fusion)
    singles = [_Single(operation) for operation in per_signature]
    per_call = [per_signature[call.signature] for call in calls]
    if fusion == "eager":
        return fold(singles[call.signature].kernel(call, resident) for call, resident in zip(calls, resident_of_calls(calls, per_call)))
    flow = _grouped(trace, calls, per_call, fusion)
    traffic, groups = Traffic(flow), flow.groups
    resident = resident_of_groups(groups, traffic)
    return fold(replace(_kernel(members, calls, singles, traffic), resident=stays) for members, stays in zip(groups, resident))


def saved(trace: Any, fusion: str = "eager", bound: bool = False) -> dict[Part, int]:
    """Bytes that a `Trace` keeps from forward to backward, by part; raises `UnknownName` as `kernels` does.

    `bound`: of what single launches need, a bound that is the same sum at all sizes.
    """
    calls, per_signature = _launching(trace, fusion)
    per_call = [per_signature[call.signature] for call in calls]
    if fusion == "eager":
        flow = Dataflow(calls, per_call, [[index] for index in range(len(calls))], trace.outputs)
        return Saving(flow, trace.weights, compiled=False).parts(bound)
    return Saving(_grouped(trace, calls, per_call, fusion), trace.weights, compiled=True).parts(bound)


def _launching(trace: Any, fusion: str) -> tuple[list[Any], list[Operation]]:
    """The calls that launch something, and an `Operation` for each signature of the trace."""
    if fusion not in MODES:
        raise unknown_name("fusion", fusion, MODES, "It says how operations are grouped into kernels.")
    per_signature = operations(trace.signatures)
    return [call for call in trace.calls if not per_signature[call.signature].free], per_signature


def _grouped(trace: Any, calls: list[Any], per_call: list[Operation], fusion: str) -> Dataflow:
    """Calls in the groups that share a launch."""
    accumulated = accumulations(calls, per_call, trace.outputs)
    per_call = [part_of_product(operation) if index in accumulated else operation for index, operation in enumerate(per_call)]
    if fusion == "serving":
        per_call = [appending(operation) for operation in per_call]
    return Dataflow(calls, per_call, group_calls(calls, per_call, accumulated, merge=fusion == "serving"), trace.outputs)


class _Single:
    """Makes the kernel of one operation by itself; what depends on the signature alone is worked out once."""

    def __init__(self, operation: Operation) -> None:
        self.operation, signature = operation, operation.signature
        self.kind, self.format = kind_of(signature.op), format_of(signature)

    def kernel(self, call: Any, resident: tuple[TensorSpec, ...] = ()) -> Kernel:
        signature = self.operation.signature
        return Kernel(signature.op, self.kind, call.phase, call.module, (signature,), format=self.format, resident=resident)


def _kernel(members: list[int], calls: list[Any], singles: list[_Single], traffic: Traffic) -> Kernel:
    first = calls[members[0]]
    if traffic.is_plain(members):
        return singles[first.signature].kernel(first)
    makers = [singles[calls[index].signature] for index in members]
    return Kernel(
        name=_name(makers),
        kind=next(kind for kind in KIND_ORDER if any(maker.kind == kind for maker in makers)),
        phase=first.phase,
        module=_module([calls[index].module for index in members], merged=makers[0].kind == "matmul"),
        signatures=tuple(maker.operation.signature for maker in makers),
        reads=traffic.reads(members),
        writes=traffic.writes(members),
        format=_most_common([maker.format for maker in makers]),
    )


def _name(makers: list[_Single]) -> str:
    ops = [maker.operation.signature.op for maker in makers]
    return ops[0] if len(set(ops)) == 1 else "fused." + "+".join(dict.fromkeys(op.split(".", 1)[1].strip("_") for op in ops))


def _module(modules: list[str], merged: bool) -> str:
    """Where a launch belongs: to the module of most of its operations; merged products to the one around theirs."""
    return modules[0].rpartition(".")[0] if merged and len(set(modules)) > 1 else _most_common(modules)


def _most_common(values: list[str]) -> str:
    return max(dict.fromkeys(values), key=values.count)
