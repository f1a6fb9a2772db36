"""What backward computes again instead of reading it back.

A compiler that sees forward and backward together keeps few activations: an element-wise result that only fused groups of
backward use is not stored; they compute it again from what is stored, if that is no more to read than writing and reading the
result (torch's compiler solves this as a minimum cut; Chen et al., arXiv:1604.06174, for the idea). Reductions and library
kernels are never repeated, but a small result of a reduction may be stored for the purpose: the statistics of a softmax or a
norm, from which its rows are had again. The few FLOP repeated are not counted. What takes more than a few tensors to compute and
is passed over more than once in backward is written out there after all, as soon as it is needed first.
"""

from dataclasses import dataclass, field

from estimator.model.fusion.compiler import limit
from estimator.model.fusion.dataflow import Dataflow
from estimator.model.work import TensorSpec

Sources = dict[int, TensorSpec]  # storages and what of them is read; -n: the row statistics of what storage n would hold


@dataclass(slots=True)
class Recomputed:
    """`sources`: for each storage that is not stored, what it is computed from; `kept`: what is stored only as a source;
    `statistics`: row statistics that are stored, by the storage that would hold the rows; `written`: for each storage that
    backward computes once and writes out, the group that does and what is written.
    """

    sources: dict[int, Sources] = field(default_factory=dict)
    kept: set[int] = field(default_factory=set)
    statistics: dict[int, TensorSpec] = field(default_factory=dict)
    written: dict[int, tuple[int, TensorSpec]] = field(default_factory=dict)


def recomputed(flow: Dataflow) -> Recomputed:
    """What a trace with a backward phase leaves out of memory and what it keeps instead; nothing for inference."""
    found = Recomputed()
    inner: dict[int, Sources] = {}  # from what a storage made by a fused forward group can be had
    if all(call.phase == "forward" for call in flow.calls):
        return found
    for index, call in enumerate(flow.calls):
        if call.phase == "forward" and flow.operation[index].fuses:
            results = _results(index, flow, found, inner)
            inner |= results
            for storage, spec in flow.written[index]:
                if storage not in results[storage] and _only_for_backward(storage, index, flow):
                    _choose(storage, spec, results[storage], flow, found)
    for storage, sources in found.sources.items():
        groups = sorted({flow.group_of[user] for user in flow.readers[storage] if flow.calls[user].phase != "forward"})
        if len(sources) > limit("realize_reads_threshold") and sum(map(flow.passes, groups)) > 1:
            found.written[storage] = groups[0], flow.made[storage]
    return found


def _results(index: int, flow: Dataflow, found: Recomputed, inner: dict[int, Sources]) -> dict[int, Sources]:
    """From what each result of a call can be had again; from itself alone where it is never computed again."""
    operation, written = flow.operation[index], flow.written[index]
    stored = {storage: {storage: spec} for storage, spec in written}
    if not operation.recomputable:
        return stored
    sources = _sources(index, flow, found, inner)
    if not operation.normalises:
        return dict.fromkeys(stored, sources)
    first = written[0][0]
    statistics = {-first: operation.statistics} if operation.statistics else dict(written[1:])
    return stored | {first: sources | statistics}


def _sources(index: int, flow: Dataflow, found: Recomputed, inner: dict[int, Sources]) -> Sources:
    """What is read to compute a call again: what comes from outside its group or is stored, and the sources of the rest."""
    group = flow.group_of[index]
    sources: Sources = {}
    for storage, spec in flow.read[index]:
        inside = storage in flow.made and flow.group_of[flow.writers[storage][0]] == group
        if not inside or (flow.leaves(storage, group) and storage not in found.sources):
            sources[storage] = max(spec, sources.get(storage, spec), key=lambda part: part.bytes)
        else:
            sources |= inner[storage]
    return sources


def _choose(storage: int, spec: TensorSpec, sources: Sources, flow: Dataflow, found: Recomputed) -> None:
    """Recompute if reading the sources, and writing those that are not stored yet, moves no more than the result would."""
    group = flow.group_of[flow.writers[storage][0]]
    new = {source for source in sources if source not in found.kept and (source < 0 or not flow.leaves(source, group))}
    if sum(part.bytes * (1 + (source in new)) for source, part in sources.items()) <= 2 * spec.bytes:
        found.sources[storage] = sources
        found.kept |= new
        found.statistics |= {-source: spec for source, spec in sources.items() if source < 0}


def _only_for_backward(storage: int, maker: int, flow: Dataflow) -> bool:
    users = flow.users_outside(storage, flow.group_of[maker])
    return (
        bool(users)
        and storage not in flow.outputs
        and flow.writers[storage] == [maker]
        and all(flow.calls[user].phase != "forward" and flow.operation[user].fuses for user in users)
    )
