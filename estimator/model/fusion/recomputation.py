"""What backward computes again instead of reading it back.

A compiler that sees forward and backward together keeps few activations: an element-wise result that only fused groups of
backward use is not stored; they compute it again from what is stored anyway, if that is no more to read than writing and
reading the result (torch's compiler solves this as a minimum cut; Chen et al., arXiv:1604.06174, for the idea). Reductions and
library kernels are never repeated. The few FLOP repeated are not counted.
"""

from estimator.model.fusion.dataflow import Dataflow
from estimator.model.work import TensorSpec

Sources = dict[int, TensorSpec]


def recomputed(flow: Dataflow) -> dict[int, Sources]:
    """For each storage that need not be stored: the storages, and what of them, that it is computed from."""
    chosen: dict[int, Sources] = {}
    inner: dict[int, Sources | None] = {}  # from what a storage made in a forward group can be computed; None: it cannot
    if all(call.phase == "forward" for call in flow.calls):
        return chosen
    for index, call in enumerate(flow.calls):
        if call.phase == "forward" and flow.operation[index].fuses:
            sources = _sources(index, flow, chosen, inner)
            for storage, spec in flow.written(index):
                inner[storage] = sources
                if sources is not None and _only_for_backward(storage, index, flow) and _bytes(sources) <= 2 * spec.bytes:
                    chosen[storage] = sources
    return chosen


def _sources(index: int, flow: Dataflow, chosen: dict[int, Sources], inner: dict[int, Sources | None]) -> Sources | None:
    if not flow.operation[index].recomputable:
        return None
    group = flow.group_of[index]
    sources: Sources = {}
    for storage, spec in flow.read(index):
        inside = storage in flow.made and flow.group_of[flow.writers[storage][0]] == group
        if not inside or (flow.leaves(storage, group) and storage not in chosen):
            sources[storage] = max(spec, sources.get(storage, spec), key=lambda part: part.bytes)
        elif (origin := inner[storage]) is not None:
            sources |= origin
        else:
            return None
    return sources


def _only_for_backward(storage: int, maker: int, flow: Dataflow) -> bool:
    users = flow.users_outside(storage, flow.group_of[maker])
    return (
        bool(users)
        and storage not in flow.outputs
        and flow.writers[storage] == [maker]
        and all(flow.calls[user].phase != "forward" and flow.operation[user].fuses for user in users)
    )


def _bytes(sources: Sources) -> float:
    return sum(spec.bytes for spec in sources.values())
