"""Our count beside those of other counters, every difference with its cause; what no cause explains is a row of its own.

The causes follow from the trace, so that `ours + sum of differences = theirs` is a test and not a story.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tabulate import tabulate

from estimator.model.rules import work_of_signature
from estimator.model.work import Signature
from estimator.units import format_si

REAL_PARTS = ("complex64", "complex128")
PASSES = {"forward": ("forward",), "backward": ("backward", "recompute")}
HANDLED_BY_FVCORE = {"aten.mm", "aten.addmm", "aten.bmm", "aten.convolution", "aten.linear"}
SEEN_APART = {"est.attention", "est.recurrent_mm", "est.recurrent_addmm"}  # torch's counter meets the products in them
NOT_PRODUCTS = ("batch_norm", "layer_norm", "group_norm", "instance_norm", "upsample_nearest2d", "upsample_bilinear2d",
                "adaptive_avg_pool2d", "grid_sampler")  # fmt: skip
UNEXPLAINED = "unexplained"
COMPLEX = "complex numbers: 4 real multiply-adds each, which it takes for 1"


@dataclass(frozen=True, slots=True)
class Tally:
    """What another counter said: FLOP (or what it takes for FLOP) of one pass; `error` says why there is none.

    `parts`: by operator, where that is needed to explain it; `rules`: the operators that it knows; `recurrent`: paths of
    recurrent layers.
    """

    counter: str
    phase: str
    flop: float = 0
    parts: tuple[tuple[str, float], ...] = ()
    rules: frozenset[str] = frozenset()
    recurrent: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One counter on one pass: our matrix FLOP (masks dense), its figure, and (cause, FLOP) that lead from ours to its."""

    counter: str
    phase: str
    ours: float
    theirs: float
    differences: tuple[tuple[str, float], ...]
    error: str = ""

    @property
    def unexplained(self) -> float:
        """FLOP that no cause accounts for."""
        return dict(self.differences).get(UNEXPLAINED, 0)


@dataclass(frozen=True, slots=True)
class CrossCheck:
    """The comparisons of one model; prints as a table."""

    name: str
    comparisons: tuple[Comparison, ...]
    executed: float
    dense: float

    def __str__(self) -> str:
        rows = []
        for one in self.comparisons:
            theirs = "failed" if one.error else format_si(one.theirs, "FLOP")
            remark = one.error or ("" if one.differences else "agrees")
            rows.append((one.counter, one.phase, format_si(one.ours, "FLOP"), theirs, remark))
            rows += [("", "", "", f"{'-' if flop < 0 else '+'}{format_si(abs(flop), 'FLOP')}", cause) for cause, flop in one.differences]
        table = tabulate(rows, ("counter", "pass", "here", "there", "cause of the difference"), disable_numparse=True)
        lines = [f"{self.name}: matrix products, 2 FLOP per multiply-add, masks counted dense", table]
        if self.executed < self.dense:
            share = 1 - self.executed / self.dense
            lines.append(f"Fused attention skips masked blocks, {share:.2g} of all that; energy follows what is executed.")
        return "\n".join(lines)


def explain(trace: Any, tallies: list[Tally]) -> CrossCheck:
    """Set the counts of others beside a trace of the same call."""
    return CrossCheck(trace.name, tuple(_compare(trace, tally) for tally in tallies), trace.tensor_flop, trace.matmul_flop)


def _compare(trace: Any, tally: Tally) -> Comparison:
    calls = [(trace.signatures[call.signature], call.module) for call in trace.calls if call.phase in PASSES[tally.phase]]
    ours = sum(work_of_signature(signature).matmul_flop for signature, _ in calls)
    if tally.error:
        return Comparison(tally.counter, tally.phase, ours, 0, (), tally.error)
    causes: dict[str, float] = {}
    for cause, flop in (_causes_fvcore if tally.counter == "fvcore" else _causes_torch)(calls, tally, ours):
        causes[cause] = causes.get(cause, 0) + flop
    left = tally.flop - ours - sum(causes.values())
    if abs(left) > 1e-9 * ours:  # exact: float rounding
        causes[UNEXPLAINED] = left
    return Comparison(tally.counter, tally.phase, ours, tally.flop, tuple((cause, flop) for cause, flop in causes.items() if flop))


def _causes_torch(calls: list[tuple[Signature, str]], tally: Tally, ours: float) -> Iterator[tuple[str, float]]:
    for signature, _ in calls:
        products = work_of_signature(signature).products
        flop = sum(product.flop for product in products)
        if signature.op == "est.attention_backward":
            yield "attention: fused kernels recompute the scores in backward; the counter saw it taken apart", -products[0].flop
        elif signature.op == "aten.convolution_backward" and signature["groups"] > 1 and signature["output_mask"][1]:
            yield "grouped convolution: it multiplies the weight gradient by the groups", products[-1].flop * (signature["groups"] - 1)
        elif flop and signature.op not in SEEN_APART | tally.rules:
            yield f"{_torch_name(signature.op)}: it has no rule and counts 0", -flop
        elif flop and any(spec.format in REAL_PARTS for spec in signature.inputs):
            yield COMPLEX, flop / 4 - flop  # exact: real products


def _causes_fvcore(calls: list[tuple[Signature, str]], tally: Tally, ours: float) -> Iterator[tuple[str, float]]:
    seen = ours
    for signature, module in calls:
        flop = work_of_signature(signature).matmul_flop
        if not flop:
            continue
        if signature.op == "est.attention":
            cause = "attention: it has no rule for scaled_dot_product_attention and counts 0"
        elif any(module == path or module.startswith(f"{path}.") for path in tally.recurrent):
            cause = "recurrent layers: it has no rule and counts 0"
        elif signature.op not in HANDLED_BY_FVCORE:
            cause = f"{_torch_name(signature.op)}: it has no rule and counts 0"
        elif any(spec.format in REAL_PARTS for spec in signature.inputs):
            cause, flop = COMPLEX, flop - flop / 4  # exact: real products
        else:
            continue
        seen -= flop
        yield cause, -flop
    yield "MAC against FLOP: it takes a multiply-add for one", -seen / 2
    parts = dict(tally.parts)
    yield "norms, pooling and resampling: no matrix products, but in its total", sum(parts.get(name, 0) for name in NOT_PRODUCTS)


def _torch_name(op: str) -> str:
    return {"est.grouped_mm": "aten._grouped_mm"}.get(op, op)
