"""Memory of a training step by what it is for, read off a trace."""

from estimator.model.rules import reads_of
from estimator.model.trace import Trace


def saved_for_backward(trace: Trace) -> float:
    """Bytes of the activations that forward leaves for backward: made or given before, read there; weights left out.

    What `torch.autograd.graph.saved_tensors_hooks` sees, as whole allocations. `Trace.saved_bytes` is never less: it is the peak,
    and has the temporaries of that moment as well. Inference saves nothing.
    """
    sizes: dict[int, float] = {}
    read: set[int] = set()
    for call in trace.calls:
        signature = trace.signatures[call.signature]
        if call.phase == "forward":
            for storage, spec in (*zip(call.reads, signature.inputs), *zip(call.writes, signature.outputs)):
                sizes[storage] = max(spec.bytes, sizes.get(storage, 0))
        elif call.phase == "backward":
            read.update(storage for storage, part in zip(call.reads, reads_of(signature)) if part is not None)
    return sum(sizes[storage] for storage in read & sizes.keys() - set(trace.weights))
