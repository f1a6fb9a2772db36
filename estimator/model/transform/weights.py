"""Weights of a whole model packed: the kernels of a lifted architecture, or the calls of a trace."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from estimator.errors import InvalidSetting
from estimator.model.architecture import Architecture
from estimator.model.program import Program
from estimator.model.rules import format_of
from estimator.model.trace import Call, Trace
from estimator.model.transform.products import PACKED, Change, held_bytes, operands, pack, weight_operand
from estimator.model.work import Kernel, Signature, TensorSpec

TRAINING = "training"


def pack_architecture(model: Architecture, change: Change) -> tuple[Architecture, float, float]:
    """The architecture with packed weights in every inference step; elements that were packed, and bytes that hold them now."""
    programs = {
        name: program
        if name == TRAINING
        else replace(program, kernels={f: tuple(_kernels(ks, change)) for f, ks in program.kernels.items()})
        for name, program in model.programs.items()
    }
    first = next(name for name in model.programs if name != TRAINING)  # it meets every weight once
    before, after = (_held(source[first].kernels["eager"], change) for source in (model.programs, programs))
    changed = replace(model, programs=programs, parameter_bytes=model.parameter_bytes - before[1] + after[1])
    return changed, before[0], after[1]


def _program(program: Program, change: Change) -> Program:
    return replace(program, kernels={fusion: tuple(_kernels(kernels, change)) for fusion, kernels in program.kernels.items()})


def _kernels(kernels: Iterable[Kernel], change: Change) -> Iterator[Kernel]:
    before = None
    for kernel in kernels:
        if not _packable(kernel, change):
            yield kernel
            continue
        narrowing, product = _packed(kernel, change)
        where = kernel.module.rpartition(".")[0], kernel.layers, narrowing
        if narrowing and where != before:  # products that share their input share its narrowing
            alone = replace(kernel, signatures=(narrowing,), reads=None, writes=None, resident=())
            yield replace(alone, name=narrowing.op, kind="reduction", format=format_of(narrowing))
        before = where
        yield product


def _packable(kernel: Kernel, change: Change) -> list[Signature]:
    """The products of a kernel whose weights change."""
    if kernel.kind != "matmul" or change.keeps(kernel.module):
        return []
    return [signature for signature in kernel.signatures if _constant_weight(signature)]


def _constant_weight(signature: Signature) -> TensorSpec | None:
    name = weight_operand(signature)
    weight = signature[name] if name else None
    return weight if weight is not None and all(isinstance(size, int) for size in weight.shape) else None


def _packed(kernel: Kernel, change: Change) -> tuple[Signature | None, Kernel]:
    """A kernel with its products packed, and the narrowing of the input that they share."""
    signatures: list[Signature] = []
    swaps: dict[TensorSpec, tuple[TensorSpec, ...]] = {}
    narrowing = None
    for signature in kernel.signatures:
        if _constant_weight(signature):
            narrowing, product = pack(signature, change)
            swaps[signature[str(weight_operand(signature))]] = operands(product)
            if narrowing:
                swaps[narrowing["input"]] = (product["input"],)
            signature = product
        signatures.append(signature)
    name = signatures[0].op if len(signatures) == 1 else kernel.name
    changed = replace(kernel, name=name, signatures=tuple(signatures), resident=_swapped(kernel.resident, swaps))
    reads = None if kernel.reads is None else _swapped(kernel.reads, swaps)
    return narrowing, replace(changed, reads=reads, format=narrowing.outputs[0].format if narrowing else kernel.format)


def _swapped(specs: Iterable[TensorSpec], swaps: dict[TensorSpec, tuple[TensorSpec, ...]]) -> tuple[TensorSpec, ...]:
    return tuple(new for spec in specs for new in swaps.get(spec, (spec,)))


def _held(kernels: Iterable[Kernel], change: Change) -> tuple[float, float]:
    """Elements and bytes of all weights that a change concerns."""
    products = [(kernel.launches, signature) for kernel in kernels for signature in _packable(kernel, change)]
    weights = [(launches, signature, signature[str(weight_operand(signature))]) for launches, signature in products]
    elements = sum(launches * weight.elements for launches, _, weight in weights)
    return elements, sum(launches * (held_bytes(s) if s.op == PACKED else weight.bytes) for launches, s, weight in weights)


def pack_trace(trace: Trace, change: Change) -> tuple[Trace, float, float]:
    """As `pack_architecture`, for the forward pass of a trace; each weight is packed once however often it is used."""
    if any(call.phase != "forward" for call in trace.calls):
        raise InvalidSetting(f"trace {trace.name!r} holds a training step; weights are packed for inference: trace without backward.")
    rewriter = _TraceRewriter(trace, change)
    calls = tuple(new for call in trace.calls for new in rewriter.calls(call))
    freed = sum(old - new for _, old, new in rewriter.weights.values())
    changed = replace(
        trace, signatures=tuple(rewriter.signatures), calls=calls, parameter_bytes=trace.parameter_bytes - freed, recount=None
    )
    elements, _, held = (sum(column) for column in zip((0, 0, 0), *rewriter.weights.values()))
    return changed, elements, held


class _TraceRewriter:
    def __init__(self, trace: Trace, change: Change) -> None:
        self.trace, self.change = trace, change
        self.signatures = dict.fromkeys(trace.signatures)
        self.index = {signature: index for index, signature in enumerate(trace.signatures)}
        self.next = 1 + max((uid for call in trace.calls for uid in (*call.reads, *call.writes)), default=0)
        self.weights: dict[int, tuple[float, float, float]] = {}
        self.narrowed: dict[tuple[int, Signature], int] = {}

    def calls(self, call: Call) -> Iterator[Call]:
        signature = self.trace.signatures[call.signature]
        name = weight_operand(signature)
        uids = _uids(signature, call.reads) if name else {}
        if name is None or uids[name] not in self.trace.weights or self.change.keeps(call.module):
            yield call
            return
        narrowing, product = pack(signature, self.change)
        given = uids.get("mat1" if signature.op == "aten.addmm" else "input", uids.get("self", 0))
        if narrowing and (given, narrowing) not in self.narrowed:
            self.narrowed[given, narrowing] = self.next
            yield Call(self._intern(narrowing), call.phase, call.module, (given,), (self.next, self.next + 1))
            self.next += 2
        weight, before = uids[name], signature[name]
        old = held_bytes(signature) if signature.op == PACKED else before.bytes
        self.weights.setdefault(weight, (before.elements, old, held_bytes(product)))
        known = {"input": self.narrowed[given, narrowing] if narrowing else given, "offsets": uids.get("offsets"), "bias": uids.get("self")}
        reads = tuple(known.get(argument) or weight for argument in _uids(product, None))
        yield replace(call, signature=self._intern(product), reads=reads)

    def _intern(self, signature: Signature) -> int:
        self.signatures.setdefault(signature)
        return self.index.setdefault(signature, len(self.index))


def _uids(signature: Signature, reads: tuple[int, ...] | None) -> dict[str, int]:
    """Allocation of every tensor argument by its name."""
    names = [name for name, value in signature.arguments if isinstance(value, TensorSpec)]
    return dict(zip(names, reads)) if reads is not None else dict.fromkeys(names, 0)
