"""What backward computes again instead of reading it back.

A compiler that sees forward and backward together keeps few activations: an element-wise result that only fused groups of
backward use is not stored; they compute it again from what is stored, if that is no more to read than writing and reading the
result (torch's compiler solves this as a minimum cut; Chen et al., arXiv:1604.06174, for the idea). Reductions and library
kernels are never repeated, but a small result of a reduction may be stored for the purpose. The few FLOP repeated are not
counted.
"""

from dataclasses import dataclass, field

from estimator.model.fusion.dataflow import Dataflow
from estimator.model.work import TensorSpec

Sources = dict[int, TensorSpec]  # storages and what of them is read


@dataclass(slots=True)
class Recomputed:
    """`sources`: for each storage that is not stored, what it is computed from; `kept`: what is stored only as a source."""

    sources: dict[int, Sources] = field(default_factory=dict)
    kept: set[int] = field(default_factory=set)


def recomputed(flow: Dataflow) -> Recomputed:
    """What a trace with a backward phase leaves out of memory and what it keeps instead; nothing for inference."""
    found = Recomputed()
    inner: dict[int, Sources] = {}  # from what a storage made by a fused forward group can be had
    if all(call.phase == "forward" for call in flow.calls):
        return found
    for index, call in enumerate(flow.calls):
        if call.phase == "forward" and flow.operation[index].fuses:
            again = flow.operation[index].recomputable
            sources = _sources(index, flow, found, inner) if again else {}
            for storage, spec in flow.written[index]:
                inner[storage] = sources if again else {storage: spec}
                if again and _only_for_backward(storage, index, flow):
                    _choose(storage, spec, sources, flow, found)
    return found


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
    new = {source for source in sources if source not in found.kept and not flow.leaves(source, group)}
    if sum(part.bytes * (1 + (source in new)) for source, part in sources.items()) <= 2 * spec.bytes:
        found.sources[storage] = sources
        found.kept |= new


def _only_for_backward(storage: int, maker: int, flow: Dataflow) -> bool:
    users = flow.users_outside(storage, flow.group_of[maker])
    return (
        bool(users)
        and storage not in flow.outputs
        and flow.writers[storage] == [maker]
        and all(flow.calls[user].phase != "forward" and flow.operation[user].fuses for user in users)
    )
