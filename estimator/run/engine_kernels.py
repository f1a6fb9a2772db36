"""The kernels of a serving engine's steps: a model's decode program cut into parts that see different numbers of tokens.

A step of continuous batching computes one token for each sequence that decodes and a chunk of the prompts that have just arrived
(Agrawal et al., Sarathi-Serve, OSDI 2024). Products and element-wise kernels see all these rows together, attention sees each kind
apart, the head only the last token of each sequence, and experts the rows of all data-parallel ranks.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import Any

from estimator.model.program import Program
from estimator.model.work import Kernel, Signature, TensorSpec
from estimator.run.lengths import Lengths
from estimator.run.roles import ATTENTION, GROUPED
from estimator.run.stack import ROW_PASS

ROUTER = ("gate", "router")
STATE_STEP = "est.state_step"
SHARED = "shared"  # in the names of experts that every token meets


@dataclass(frozen=True)
class Batch:
    """What one step computes: `queries` tokens for each of `decoding` sequences with `context` cached tokens, and `prompts` chunks of
    `new` tokens that follow `cached` tokens each."""

    decoding: float
    context: Lengths
    prompts: float = 0.0
    new: float = 0.0
    cached: float = 0.0
    queries: float = 1.0

    @property
    def rows(self) -> float:
        """Tokens that pass through the layers."""
        return self.decoding * self.queries + self.prompts * self.new

    @property
    def logits(self) -> float:
        """Tokens that reach the head."""
        return self.decoding * self.queries + self.prompts

    @property
    def share(self) -> float:
        """Share of the rows that the prompts bring."""
        return self.prompts * self.new / self.rows


class Engine:
    """The parts of one model's programs under one fusion, as `kernels` puts them together."""

    def __init__(self, programs: Any, fusion: str) -> None:
        self.decode, self.prefill, self.fusion = programs["decode"], programs["prefill"], fusion
        found = fused_routing(self.decode.kernels[fusion])
        self.order, self.states = [self._part(kernel) for kernel in found], [_is_step(kernel) for kernel in found]
        found = tuple(_by_rows(kernel) if part == "experts" else kernel for kernel, part in zip(found, self.order))
        self.parts = {
            name: self._program(self.decode, [k for k, part in zip(found, self.order) if part == name]) for name in set(self.order)
        }
        steps = [kernel for kernel in found if _is_step(kernel)]
        recurrent = {(kernel.module, kernel.layers) for kernel in steps}
        within = [k for k in self.prefill.kernels[fusion] if (k.module, k.layers) in recurrent and _mixes(k)]
        self.of_a_prompt = len(within) // max(len(steps), 1)  # kernels of a recurrent layer over a prompt
        attention = [k for k in self.prefill.kernels[fusion] if k.kind == "attention" or k in within]
        self.parts["prompts"] = self._program(self.prefill, attention)
        self.windowed = any(s.get("window") is not None for k in attention for s in k.signatures)

    def _program(self, program: Program, kernels: Sequence[Kernel]) -> Program:
        return Program(program.symbols, {self.fusion: tuple(kernels)})

    def _part(self, kernel: Kernel) -> str:
        if kernel.kind == "attention" or _is_step(kernel):
            return "attention"
        if not kernel.layers and kernel.kind == "matmul" and "layers" not in kernel.module:
            return "head"
        inside = any(kernel.module == module or kernel.module.startswith(f"{module}.") for module in self.expert_modules)
        return "experts" if inside and SHARED not in kernel.module else "rest"

    @cached_property
    def expert_modules(self) -> set[str]:
        """Modules that hold the experts."""
        kernels = self.decode.kernels[self.fusion]
        return {kernel.module for kernel in kernels if any(_is_grouped(s) for s in kernel.signatures)}

    def kernels(self, batch: Batch, replicas: int = 1) -> tuple[tuple[Kernel, float], ...]:
        """Kernels of a step, each with the share of it that the prompts cause; experts see the rows of `replicas` data-parallel ranks."""
        share = batch.share
        sizes = {"rest": batch.rows, "experts": batch.rows * replicas, "attention": batch.decoding, "head": batch.logits}
        shares = {"head": batch.prompts / sizes["head"]}
        context = batch.context.classes() if self.windowed else [(batch.context.mean, 1.0)]
        made = {name: iter(self._at(name, batch=sizes[name], past=batch.context.mean)) for name in self.parts if sizes.get(name)}
        old = [self._at("attention", batch=batch.decoding, past=tokens) for tokens, _ in context] if made.get("attention") else []
        cached = iter([_in_part(same, [weight for _, weight in context]) for same in zip(*old)])
        new: Iterator[Kernel] = iter(())
        if batch.prompts and "attention" in self.order:
            found = self._at("prompts", batch=batch.prompts, sequence=batch.new)
            new = iter([_after_cached(kernel, batch) for kernel in found])
        steps: list[tuple[Kernel, float]] = []
        for name, states in zip(self.order, self.states):
            if name == "attention":
                steps += [(_of_queries(kernel, batch.queries), 0.0) for kernel in next(cached, ())]
                steps += [(kernel, 1.0) for kernel in islice(new, self.of_a_prompt if states else 1)]
            elif sizes[name]:
                steps.append((next(made[name]), shares.get(name, share)))
        return tuple(steps)

    def _at(self, part: str, **sizes: float) -> tuple[Kernel, ...]:
        program = self.parts[part]
        return program.at(self.fusion, **{symbol: sizes[symbol] for symbol in program.symbols})


def _is_step(kernel: Kernel) -> bool:
    """Whether the kernel takes the states of a recurrent layer one token further."""
    return kernel.signatures[0].op == STATE_STEP


def _mixes(kernel: Kernel) -> bool:
    """Whether the kernel lets tokens see each other: attention within a chunk, products with its state."""
    return kernel.kind == "attention" or kernel.signatures[0].op == "aten.bmm"


def _in_part(same: Sequence[Kernel], weights: Sequence[float]) -> list[Kernel]:
    """One launch over sequences of unequal lengths, as so many parts of launches over equal ones: a window cuts only the long ones."""
    return [replace(kernel, count=kernel.count * weight) for kernel, weight in zip(same, weights)]


def _of_queries(kernel: Kernel, queries: float) -> Kernel:
    """Attention of several new tokens of each sequence at once, as a draft's proposals are checked: the cache is read once for all."""
    if queries == 1:
        return kernel

    def more(signature: Signature) -> Signature:
        arguments = tuple((name, _wider(value, queries) if name == "query" else value) for name, value in signature.arguments)
        return replace(signature, arguments=arguments, outputs=tuple(_wider(out, queries, len(out.shape) - 2) for out in signature.outputs))

    return replace(kernel, signatures=tuple(map(more, kernel.signatures)), reads=None, writes=None)


def _wider(spec: TensorSpec, times: float, axis: int = 2) -> TensorSpec:
    return replace(spec, shape=(*spec.shape[:axis], spec.shape[axis] * times, *spec.shape[axis + 1 :]))


def _after_cached(kernel: Kernel, batch: Batch) -> Kernel:
    """Attention of new tokens that see cached ones before them: more keys, the same queries."""
    if not batch.cached:
        return kernel

    def longer(signature: Signature) -> Signature:
        if signature.op != ATTENTION:
            return signature
        arguments = tuple(
            (name, _longer(value, batch.cached) if name in ("key", "value") else value) for name, value in signature.arguments
        )
        return replace(signature, arguments=arguments)

    return replace(kernel, signatures=tuple(map(longer, kernel.signatures)), reads=None, writes=None)


def _longer(spec: TensorSpec, more: float) -> TensorSpec:
    *outer, keys, width = spec.shape
    return replace(spec, shape=(*outer, keys + more, width))


def _is_grouped(signature: Signature) -> bool:
    return signature.op == GROUPED or (signature.op == "est.packed_mm" and signature.get("offsets") is not None)


def fused_routing(kernels: Sequence[Kernel]) -> tuple[Kernel, ...]:
    """Kernels with those that route tokens to experts fused as engines fuse them.

    Scores and the choice of experts are one kernel, the sorted table of rows another one (vLLM: `topk_softmax` and
    `moe_align_block_size`); the products gather their rows by that table, so nothing is copied before them.
    """
    experts = {kernel.module for kernel in kernels if any(_is_grouped(s) for s in kernel.signatures)}
    if not experts:
        return tuple(kernels)
    hidden = next(k.signatures[0]["weight"].shape[-2] for k in kernels if any(_is_grouped(s) for s in k.signatures))
    merged: list[Kernel] = []
    places: dict[tuple[str, tuple[int, ...]], int] = {}
    for kernel in kernels:
        if not _routes(kernel, experts, hidden):
            if not (kernel.kind == "gather" and kernel.module in experts and _only_moves(kernel)):
                merged.append(kernel)
            continue
        where = kernel.module, kernel.layers
        if where in places:
            first = merged[places[where]]
            merged[places[where]] = replace(first, name="fused.routing", signatures=first.signatures + kernel.signatures)
        else:
            places[where] = len(merged)
            merged.append(replace(kernel, reads=_read(kernel), writes=_read(kernel), resident=()))
    return tuple(merged)


def _by_rows(kernel: Kernel) -> Kernel:
    """A pass over the experts' rows as engines run it: a block for each row, so little is in flight."""
    return replace(kernel, kind=ROW_PASS) if kernel.kind in ("pointwise", "reduction") else kernel


def _read(kernel: Kernel) -> tuple[TensorSpec, ...]:
    return kernel.signatures[0].inputs if kernel.reads is None else kernel.reads


def _routes(kernel: Kernel, experts: set[str], hidden: Any) -> bool:
    """Whether a kernel handles scores and indices only, no hidden states."""
    if kernel.kind in ("matmul", "attention"):
        return False
    near = kernel.module in experts or kernel.module.rpartition(".")[2] in ROUTER
    return near and not any(hidden in spec.shape for spec in _tensors(kernel)) and not _activates(kernel)


def _activates(kernel: Kernel) -> bool:
    return any(signature.op in ("aten.silu", "aten.gelu", "aten.clamp", "est.narrow") for signature in kernel.signatures)


def _only_moves(kernel: Kernel) -> bool:
    return all(signature.op in ("aten.index", "aten.floor_divide", "aten.index_select", "aten.gather") for signature in kernel.signatures)


def _tensors(kernel: Kernel) -> Iterable[TensorSpec]:
    for signature in kernel.signatures:
        yield from signature.inputs
        yield from signature.outputs
