"""Run any `torch.nn.Module` on meta tensors and record every operation, with phase and module path.

    run.py          trace(): stand-ins, forward, backward, optimizer step
    standins.py     meta copies of weights and inputs; the caller's module comes back untouched
    dispatch.py     the dispatch mode that sees each operation once
    operators.py    what an operator's schema says about it
    rewrites.py     operations that are taken apart, made opaque or answered from known values
    templates.py    outputs of a call like one seen before
    shadows.py      small values that do not depend on weights stay known
    attribution.py  phase and module path of an operation, in backward by autograd sequence number
    storages.py     identity and lifetime of allocations
    signatures.py   an operation's arguments as plain records, each distinct one stored once
    formats.py      torch dtypes as number formats
    opaque.py       attention, grouped products and cache appends as single operations
    recurrent.py    recurrent layers step by step, with fused cells
    shapes.py       shapes that torch does not tell
    patches.py      what is replaced inside torch while a trace runs
    functions.py    constants, and devices that the code names
    autocast.py     autocast on meta tensors, which torch itself leaves alone
    replace.py      an attribute set for a while
    steps.py        loss and optimizer step
    counters.py     torch's and fvcore's counters on the same call
    failures.py     what went wrong, in which operation of which module, and the way out

This package is the only part of the estimator that imports torch.
"""

from estimator.errors import MissingDependency

try:
    import torch  # noqa: F401
except ImportError as error:
    raise MissingDependency(
        "tracing a module needs torch, which is not installed; `pip install torch` adds it. "
        "Bundled architecture names and stored traces work without it."
    ) from error

from estimator.model.tracing.counters import cross_check
from estimator.model.tracing.opaque import attention, kv_append, state_step
from estimator.model.tracing.run import trace

__all__ = ["attention", "cross_check", "kv_append", "state_step", "trace"]
