"""What torch's compiler would launch: Inductor stopped after scheduling, before it generates code.

RULES names the schedules. "triton" is what it does for GPUs: its Triton backend's fusion rules, and concatenation as pointwise
work, which it leaves off on CPUs. "cpp" is what it does for CPUs. Layout changes for CPU convolutions are off in both.
"""

from collections import defaultdict
from math import prod

import torch
from torch._functorch import config as functorch
from torch._inductor import config as inductor
from torch._inductor import ir
from torch._inductor.graph import GraphLowering
from torch._inductor.scheduler import ExternKernelSchedulerNode, NopKernelSchedulerNode
from torch._inductor.virtualized import V

QUIET = {"layout_optimization": False, "force_disable_caches": True, "compile_threads": 1}
RULES = {"triton": {"cpu_backend": "triton", "force_pointwise_cat": True}, "cpp": {"cpu_backend": "cpp"}}


class Scheduled(Exception):
    """Inductor has scheduled the last graph."""


def schedule(step, inputs, training, backend):
    """Inductor's kernels of a model: (library or fused, bytes, node) for each, forward and, in training, backward."""
    found, graphs = [], []

    def record(graph):
        graph.init_wrapper_code()
        graph._update_scheduler()
        with V.set_graph_handler(graph):
            found.extend(entry for node in graph.scheduler.nodes for entry in measure(node))
        graphs.append(graph)
        if len(graphs) == 1 + training:
            raise Scheduled
        return type("Compiled", (), {"call": None, "__file__": "", "key": ""})

    torch._dynamo.reset()
    options = {**QUIET, **RULES[backend]}
    original, GraphLowering.compile_to_module = GraphLowering.compile_to_module, record
    try:
        with inductor.patch(options), functorch.patch(force_non_lazy_backward_lowering=True), torch.set_grad_enabled(training):
            torch.compile(step, fullgraph=True)(**inputs)
    except Exception as error:
        if not isinstance(error, Scheduled) and "Scheduled" not in str(error):
            raise
    finally:
        GraphLowering.compile_to_module = original
    assert len(graphs) == 1 + training, f"{len(graphs)} graphs"
    return found


def measure(node):
    """Kind and bytes of one kernel of the schedule; nothing for what launches none."""
    if isinstance(node, NopKernelSchedulerNode) or isinstance(node.node, ir.MultiOutput):
        return
    library = isinstance(node, ExternKernelSchedulerNode)
    yield "library" if library else "fused", (library_bytes if library else fused_bytes)(node), node


def library_bytes(node):
    """Every operand and every result once."""
    kernel = node.node
    parts = defaultdict(list)
    for tensor in kernel.inputs:
        for one in tensor if isinstance(tensor, (list, tuple)) else [tensor]:
            parts[one.get_name()].append(size_of(one))
    reads = sum(min(sum(sizes), whole(name)) for name, sizes in parts.items())
    if isinstance(kernel.layout, ir.MultiOutputLayout):
        outputs = [buffer.node for user in node.outputs[0].users if user.node.get_outputs() for buffer in user.node.get_outputs()]
        return reads + sum(size_of(output) for output in outputs if isinstance(output, ir.MultiOutput))
    if isinstance(kernel.layout, ir.NoneLayout):
        return reads + sum(whole(name) for name in kernel.get_mutation_names())
    return reads + size_of(kernel)


def fused_bytes(node):
    """What the kernel loads from outside and what others load of its results."""
    nodes = set(node.get_nodes())
    users = {dep.name: V.graph.scheduler.name_to_buf[dep.name].users for dep in node.read_writes.writes}
    kept = {name for name, of_it in users.items() if any(user.node not in nodes for user in of_it)}
    total = 0
    for deps, names in ((node.read_writes.reads, None), (node.read_writes.writes, kept)):
        parts = defaultdict(int)
        for dep in deps:
            if hasattr(dep, "size") and (names is None or dep.name in names):
                parts[dep.name] += touched(dep)
        total += sum(min(size, whole(name)) for name, size in parts.items())
    return total


def touched(dep):
    """Bytes of the distinct elements that one access names; of a table, as many as are picked."""
    index = dep.index.free_symbols
    sizes = dep.size if dep.is_indirect() else [size for name, size in zip(dep.var_names, dep.size) if name in index]
    return prod(int(size) for size in sizes) * V.graph.get_dtype(dep.name).itemsize


def whole(name):
    """Bytes of a buffer."""
    return int(V.graph.get_numel(name)) * V.graph.get_dtype(name).itemsize


def size_of(tensor):
    """Bytes of a tensor or view."""
    return prod(map(int, tensor.get_size())) * tensor.get_dtype().itemsize
