"""Other counters on the same call: torch's FlopCounterMode, forward and backward, and fvcore, forward."""

import copy
import logging
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import torch
from torch.utils._pytree import tree_map
from torch.utils.flop_counter import FlopCounterMode, flop_registry

from estimator.model.cross_check import CrossCheck, Tally, explain
from estimator.model.tracing.notices import notices_pass
from estimator.model.tracing.run import trace
from estimator.model.tracing.signatures import tensors_in
from estimator.model.tracing.standins import StandIns, on_meta, uncompiled
from estimator.model.tracing.steps import floating, loss_of

TORCH, FVCORE = "torch FlopCounterMode", "fvcore"
LARGEST_ZEROS = 2**30  # bytes of weights that are filled in for a counter that cannot do without


def cross_check(
    model: torch.nn.Module,
    *inputs: Any,
    backward: bool = False,
    loss: Callable[[Any], torch.Tensor] | None = None,
    training: bool | None = None,
    name: str | None = None,
    **kwargs: Any,
) -> CrossCheck:
    """Count one call of a model here, with torch's counter and with fvcore; arguments as for `trace`.

    A counter that fails on the model has its error in place of a number. Raises what `trace` raises.
    """
    traced = trace(model, *inputs, backward=backward, loss=loss, training=training, name=name, **kwargs)
    stand_ins, model = StandIns(), uncompiled(model)
    with notices_pass(), on_meta(model, stand_ins, training):
        args = tuple(map(stand_ins.tree, inputs))
        kwargs = {key: stand_ins.tree(value) for key, value in kwargs.items()}
        tallies = [*_torch(model, args, kwargs, backward, loss), _fvcore(model, args, kwargs)]
    return explain(traced, tallies)


def _torch(model: torch.nn.Module, args: tuple, kwargs: dict, backward: bool, loss: Any) -> list[Tally]:
    rules = frozenset(str(packet) for packet in flop_registry)
    tallies = []
    phase = "forward"
    try:
        with torch.set_grad_enabled(backward), FlopCounterMode(display=False) as counter:
            output = model(*args, **kwargs)
        tallies.append(Tally(TORCH, phase, counter.get_total_flops(), rules=rules))
        if backward:
            phase = "backward"
            with FlopCounterMode(display=False) as counter:
                loss_of(output, loss).backward()
            tallies.append(Tally(TORCH, phase, counter.get_total_flops(), rules=rules))
    except Exception as error:
        tallies.append(Tally(TORCH, phase, error=_reason(error)))
    return tallies


def _fvcore(model: torch.nn.Module, args: tuple, kwargs: dict) -> Tally:
    """On meta tensors if it can; some operations make it read values, so a model of moderate size is then tried on zeros."""
    recurrent = tuple(path for path, module in model.named_modules() if isinstance(module, torch.nn.RNNBase))
    try:
        parts = _by_operator(model, args, kwargs)
    except Exception as error:
        if sum(parameter.nbytes for parameter in model.parameters()) > LARGEST_ZEROS:
            return Tally(FVCORE, "forward", error=_reason(error))
        try:
            zeros = _Zeros()
            parts = _by_operator(zeros.model(model), *(tree_map(zeros.of, part) for part in (args, kwargs)))
        except Exception:
            return Tally(FVCORE, "forward", error=_reason(error))
    return Tally(FVCORE, "forward", sum(count for _, count in parts), parts, recurrent=recurrent)


def _by_operator(model: torch.nn.Module, args: tuple, kwargs: dict) -> tuple[tuple[str, float], ...]:
    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")  # what it cannot count is what we are here to say; loading it announces what torch will drop
        from fvcore.nn import FlopCountAnalysis

        stack.enter_context(torch.no_grad())
        stack.callback(logging.disable, logging.root.manager.disable)
        logging.disable(logging.WARNING)
        analysis = FlopCountAnalysis(Positional(model, tuple(kwargs)), (*args, *kwargs.values()))
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        return tuple((op, float(count)) for op, count in analysis.by_operator().items())


class _Zeros:
    """Zeros on the host in place of meta tensors, shared ones shared."""

    def __init__(self) -> None:
        self.memo: dict[int, torch.Tensor] = {}

    def of(self, value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        if id(value) not in self.memo:
            zeros = torch.zeros(value.shape, dtype=value.dtype)
            self.memo[id(value)] = torch.nn.Parameter(zeros, value.requires_grad) if isinstance(value, torch.nn.Parameter) else zeros
        return self.memo[id(value)]

    def model(self, model: torch.nn.Module) -> torch.nn.Module:
        """A copy of a module on meta, with zeros for its tensors."""
        tensors = [tensor for module in model.modules() for tensor in tensors_in(_values(module))]
        return copy.deepcopy(model, {id(tensor): self.of(tensor) for tensor in tensors})


def _values(module: torch.nn.Module) -> list[Any]:
    return [*module._parameters.values(), *module._buffers.values(), *vars(module).values()]


class Positional(torch.nn.Module):
    """A model called with positional arguments only, whose output is the tensors alone: all that torch.jit.trace accepts."""

    def __init__(self, model: torch.nn.Module, names: tuple[str, ...]) -> None:
        super().__init__()
        self.model, self.names = model, names

    def forward(self, *args: Any) -> Any:
        """Call the model; the last arguments are its keyword arguments."""
        split = len(args) - len(self.names)
        return tuple(floating(self.model(*args[:split], **dict(zip(self.names, args[split:])))))


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:60]}"  # exact: width of a table cell
