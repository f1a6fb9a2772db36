"""Phase and module path of each operation.

Forward operations belong to the innermost module that is running. A backward operation runs in an autograd node whose
sequence number was drawn when the forward operation ran; a list of (sequence number, path) at every change of module finds
that path by bisection, whatever hooks, in-place operations or views did to the graph. A gradient accumulator has no number:
it belongs to the owner of its parameter.
"""

import sys
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import torch
from torch.nn.modules import module as module_hooks

from estimator.model.trace import Layer
from estimator.model.tracing import failures

current_node = torch._C._current_autograd_node
current_graph_task = torch._C._current_graph_task_id
next_sequence_number = torch.autograd._get_sequence_nr
NO_SEQUENCE_NUMBER = 2**63  # gradient accumulators carry the largest unsigned number
NO_TASK = -1


class Attribution:
    """Follows module calls while active (a context manager) and answers `where()` for the operation being dispatched."""

    def __init__(self, model: torch.nn.Module) -> None:
        self.stack = [""]
        self.in_optimizer = False
        self._numbers, self._paths = [0], [""]
        self._tasks: dict[int, tuple[int, bool]] = {}
        self._names: dict[torch.nn.Module, list[str]] = {}
        self._owners: dict[torch.Tensor, str] = {}
        self.outputs: dict[str, tuple[int, ...]] = {}  # shape of what each module returned first
        for name, module in model.named_modules(remove_duplicate=False):
            self._names.setdefault(module, []).append(name)
            for parameter in module._parameters.values():
                if parameter is not None:
                    self._owners.setdefault(parameter, self._names[module][0])

    def __enter__(self) -> "Attribution":
        with ExitStack() as stack:
            for handle in (
                module_hooks.register_module_forward_pre_hook(self._enter_module),
                module_hooks.register_module_forward_hook(self._leave_module, always_call=True),
            ):
                stack.callback(handle.remove)
            self._handles = stack.pop_all()
        return self

    def __exit__(self, *_: Any) -> None:
        self._handles.close()

    def where(self) -> tuple[str, str]:
        """(phase, module path) of the operation being dispatched."""
        task = current_graph_task()
        if task == NO_TASK:
            self._mark(next_sequence_number(), self.stack[-1])  # differs only after a gradient taken inside forward
            return ("optimizer" if self.in_optimizer else "forward"), self.stack[-1]
        depth, creates_graph = self._task(task)
        deeper, differentiable = len(self.stack) > depth, torch.is_grad_enabled()
        path = self.stack[-1] if deeper else self._path_of(current_node())
        if differentiable:  # nodes born here are differentiated in a later pass
            self._mark(next_sequence_number() - 1, path)
        return ("recompute" if deeper or (differentiable and not creates_graph) else "backward"), path

    def _task(self, task: int) -> tuple[int, bool]:
        """Module depth and whether gradients are differentiable, as they were when a backward pass began."""
        return self._tasks.setdefault(task, (len(self.stack), torch.is_grad_enabled()))

    def _path_of(self, node: Any) -> str:
        if node is None:
            return self._paths[-1]
        number = node._sequence_nr()
        if number >= NO_SEQUENCE_NUMBER:
            return self._owners.get(node.variable, "")
        return self._paths[bisect_right(self._numbers, number) - 1]

    def _mark(self, number: int, path: str) -> None:
        if path != self._paths[-1]:
            self._numbers.append(max(number, self._numbers[-1]))
            self._paths.append(path)

    def _enter_module(self, module: torch.nn.Module, _: Any) -> None:
        if (task := current_graph_task()) != NO_TASK:
            self._task(task)
        self.stack.append(self._name(module))
        self._mark(next_sequence_number(), self.stack[-1])

    def _leave_module(self, _module: torch.nn.Module, _inputs: Any, output: Any) -> None:
        path, error = self.stack.pop(), sys.exc_info()[1]
        if path not in self.outputs and (shape := first_shape(output)) is not None:
            self.outputs[path] = shape
        if error is not None:
            failures.mark(error, path)
        self._mark(next_sequence_number(), self.stack[-1])

    def _name(self, module: torch.nn.Module) -> str:
        parent = self.stack[-1]
        names = self._names.get(module)
        if names is None:  # made on the fly, not registered anywhere
            return f"{parent}.{type(module).__name__}".lstrip(".")
        if len(names) == 1:
            return names[0]
        return next((name for name in names if name.startswith(f"{parent}.")), names[0])  # shared: as seen from its caller

    def layers(self, model: torch.nn.Module) -> Iterator[Layer]:
        """Every module with its own parameters, shared ones at the first."""
        for path, module in model.named_modules():
            held = {parameter for parameter in module._parameters.values() if parameter is not None}
            mine = [parameter.numel() for parameter in held if self._owners.get(parameter, path) == path]
            yield Layer(path, type(module).__name__, self.outputs.get(path), sum(mine))


def first_shape(output: Any) -> tuple[int, ...] | None:
    """The shape of the first tensor in what a module returns."""
    if isinstance(output, torch.Tensor):
        return tuple(output.shape)
    values = output.values() if isinstance(output, dict) else output if isinstance(output, (list, tuple)) else ()
    return next((shape for value in values if (shape := first_shape(value)) is not None), None)
