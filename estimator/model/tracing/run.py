"""`trace`: one forward, backward and optimizer step of a module on meta tensors, as a `Trace`."""

import inspect
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any
from weakref import ref

import torch

from estimator.errors import EstimatorError, InvalidSetting, TraceError
from estimator.model.trace import Call, Trace
from estimator.model.tracing import failures
from estimator.model.tracing.attribution import Attribution
from estimator.model.tracing.dispatch import Recorder
from estimator.model.tracing.formats import tensor_spec
from estimator.model.tracing.notices import notices_pass
from estimator.model.tracing.patches import patched_torch
from estimator.model.tracing.standins import StandIns, on_meta, uncompiled
from estimator.model.tracing.steps import floating, fused_step, loss_of, optimizer_name, traced_step
from estimator.model.tracing.storages import Storages


def trace(
    model: torch.nn.Module,
    *inputs: Any,
    backward: bool = False,
    optimizer: str | torch.optim.Optimizer | None = None,
    training: bool | None = None,
    loss: Callable[[Any], torch.Tensor] | None = None,
    name: str | None = None,
    **kwargs: Any,
) -> Trace:
    """Record every operation of one call of `model`, without ever needing the values of its weights.

    model: any module; its weights may be real, meta or fake, and it comes back untouched.
    inputs, kwargs: as for the model, on any device; integer inputs with values keep them.
    backward: also run the real backward pass of the loss: `loss(output)`, `output.loss`, or the sum of the outputs.
    optimizer: a name, such as "adamw" (see `estimator.model.optimizer.OPTIMIZERS`), for one fused step over all trainable
        parameters, or an optimizer instance whose own `step()` is traced; needs `backward`.
    training: run in train (True) or eval mode (False) instead of the model's own.

    Raises `TraceError` where the model cannot run on meta tensors, `MissingInputs` where its arguments do not fit.
    """
    if not isinstance(model, torch.nn.Module):
        raise InvalidSetting(f"model={model!r}: expected a torch.nn.Module")
    if optimizer is not None and not backward:
        raise InvalidSetting(f"optimizer={optimizer!r} needs gradients: pass backward=True as well")
    step = None if optimizer is None else optimizer_name(optimizer)
    _check_arguments(model, inputs, kwargs)
    for balanced_routing in (False, True):
        run = Run(model, training, balanced_routing)
        try:
            run.run(inputs, kwargs, backward, loss, optimizer, step)
            break
        except failures.NeedsValue:
            if balanced_routing or not run.recorder.routed:
                raise
    result = run.result(name or type(run.model).__name__)
    call = {"backward": backward, "loss": loss, "training": training, **kwargs}
    return replace(result, recount=partial(_recount, ref(model), inputs, call))


def _recount(model: ref[torch.nn.Module], inputs: tuple, call: dict[str, Any]) -> Any:
    from estimator.model.tracing.counters import cross_check

    alive = model()
    if alive is None:
        raise TraceError("the traced module was deleted, so nothing can be counted again; trace it anew.")
    return cross_check(alive, *inputs, **call)


class Run:
    """One attempt: the model, its stand-ins and what was recorded."""

    def __init__(self, model: torch.nn.Module, training: bool | None, balanced_routing: bool) -> None:
        self.model, self.training = uncompiled(model), training
        self.stand_ins, self.storages = StandIns(), Storages()
        self.balanced_routing = balanced_routing

    def run(self, inputs: tuple, kwargs: dict, backward: bool, loss: Callable | None, optimizer: Any, step: str | None) -> None:
        """Forward, backward and optimizer step under the recorder."""
        with ExitStack() as stack:
            stack.enter_context(on_meta(self.model, self.stand_ins, self.training))
            self.parameters, self.buffers = list(self.model.parameters()), list(self.model.buffers())
            self.attribution = Attribution(self.model)
            self.recorder = Recorder(self.attribution, self.storages, self.balanced_routing)
            args = tuple(map(self.stand_ins.tree, inputs))
            kwargs = {name: self.stand_ins.tree(value) for name, value in kwargs.items()}
            self._prepare()
            if backward:
                self._watch_gradients(stack)
            for context in (
                notices_pass(),
                self.attribution,
                patched_torch(self.recorder),
                torch.set_grad_enabled(backward),
                self.recorder,
            ):
                stack.enter_context(context)
            try:
                self._steps(args, kwargs, backward, loss, optimizer, step)
            except EstimatorError:
                raise
            except Exception as error:
                raise failures.explain(error) from error

    def result(self, name: str) -> Trace:
        """What was recorded, without a torch object in it."""
        trainable = [parameter for parameter in self.parameters if parameter.requires_grad]
        return Trace(
            name=name,
            signatures=self.recorder.signatures.all(),
            calls=tuple(Call(*call) for call in self.recorder.calls),
            parameters=_elements(self.parameters),
            parameter_bytes=_bytes(self.parameters),
            trainable_parameters=_elements(trainable),
            buffers_bytes=_bytes(self.buffers),
            saved_bytes=self.storages.peak_bytes(),
            decisions=tuple(self.recorder.decisions),
            outputs=self.outputs,
            layers=self.layers,
            weights=tuple(self.storages.of(parameter).uid for parameter in self.parameters),
        )

    def _prepare(self) -> None:
        """Weights are no activations; integers with values keep them."""
        self.storages.exempt(*self.parameters, *self.buffers)
        for name in sorted(self.stand_ins.classes):
            self.recorder.note(f"tensors of class {name} counted as dense ones of their dtype")
        for original in self.stand_ins.originals:
            if isinstance(original, torch.Tensor):
                self.recorder.shadows.keep(self.stand_ins.of(original), original)

    def _watch_gradients(self, stack: ExitStack) -> None:
        """Gradients of weights are no activations either."""

        def exempt(parameter: torch.Tensor) -> None:
            if parameter.grad is not None:
                self.storages.exempt(parameter.grad)

        for parameter in self.parameters:
            if parameter.requires_grad:
                stack.callback(parameter.register_post_accumulate_grad_hook(exempt).remove)

    def _steps(self, args: tuple, kwargs: dict, backward: bool, loss: Callable | None, optimizer: Any, step: str | None) -> None:
        output = self.model(*args, **kwargs)
        self.layers = tuple(self.attribution.layers(self.model))
        self.outputs = tuple(self.storages.of(tensor).uid for tensor in floating(output))
        if backward:
            value = loss_of(output, loss)
            del output  # a training loop keeps the loss alone
            value.backward()
        self.attribution.in_optimizer = True
        if step is not None:
            tables = {module.weight.shape for module in self.model.modules() if isinstance(module, torch.nn.Embedding)}
            fused_step(self.recorder, step, [parameter for parameter in self.parameters if parameter.requires_grad], tables)
        elif optimizer is not None:
            traced_step(self.recorder, optimizer, self.stand_ins)


def _check_arguments(model: torch.nn.Module, args: tuple, kwargs: dict) -> None:
    try:
        signature = inspect.signature(model.forward)
        signature.bind(*args, **kwargs)
    except TypeError as error:
        raise failures.missing_inputs(model, error, str(signature)) from None
    except ValueError:
        return  # a forward without a Python signature


def _elements(tensors: Sequence[torch.Tensor]) -> int:
    return sum(tensor.numel() for tensor in tensors)


def _bytes(tensors: Sequence[torch.Tensor]) -> float:
    return sum(tensor_spec(tensor).bytes for tensor in tensors)
