"""The dispatch mode: sees each operation once, runs it on meta tensors, and records what it was and where."""

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from estimator.model.tracing.attribution import Attribution
from estimator.model.tracing.failures import NeedsValue, mark
from estimator.model.tracing.operators import Operator, describe
from estimator.model.tracing.shadows import Shadows
from estimator.model.tracing.signatures import Signatures, call_key, fingerprint, tensors_in
from estimator.model.tracing.storages import Storage, Storages
from estimator.model.tracing.templates import Templates

TAKES_HOST = {"aten.copy_", "aten._to_copy", "aten._pack_padded_sequence"}  # operators that mix devices on purpose


class Recorder(TorchDispatchMode):
    """Records (signature, phase, module path, storages read, storages written) of every operation while active."""

    supports_higher_order_operators = True

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # by default torch imports its whole compiler here, to switch it off; `patches` does that where it is loaded

    def __init__(self, attribution: Attribution, storages: Storages, balanced_routing: bool = False) -> None:
        super().__init__()
        self.attribution, self.storages, self.shadows = attribution, storages, Shadows(storages)
        self.signatures, self.templates = Signatures(), Templates()
        self.calls: list[tuple[int, str, str, tuple[int, ...], tuple[int, ...]]] = []
        self.decisions: dict[str, None] = {}  # in order, without repetition
        self.recording, self.balanced_routing, self.routed = True, balanced_routing, False
        self.unpacked: dict[Any, tuple[torch.Tensor, torch.Tensor | None]] = {}  # weights that script objects hide
        self._operators: dict[Any, Operator] = {}

    def operator(self, func: Any) -> Operator:
        """What the schema of an overload says, read once."""
        if func not in self._operators:
            self._operators[func] = describe(func)
        return self._operators[func]

    def flop(self, calls: list) -> float:
        """FLOP of some recorded calls; `torch.cond` chooses its branch by it."""
        from estimator.model.rules import work_of_signature

        signatures = self.signatures.all()
        return sum(work_of_signature(signatures[call[0]]).flop for call in calls)

    def note(self, decision: str) -> None:
        """Keep a guess that was made."""
        self.decisions[decision] = None

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        op = self._operators.get(func) or self.operator(func)
        if op.rewrite is not None:
            out = op.rewrite(self, func, args, kwargs)
            if out is not NotImplemented:
                return out
        tensors = tensors_in(args)
        if kwargs:
            tensors += tensors_in(kwargs.values())
        try:
            return self._execute(op, func, args, kwargs, tensors)
        except Exception as error:
            shapes = ", ".join(str(tuple(tensor.shape)) for tensor in tensors)
            mark(error, self.attribution.where()[1], op.name, f"({shapes})")
            raise

    def _execute(self, op: Operator, func: Any, args: tuple, kwargs: dict, tensors: list[torch.Tensor]) -> Any:
        meta = [tensor.is_meta for tensor in tensors]
        if False in meta and True in meta and op.name not in TAKES_HOST:
            args, kwargs, tensors = self._promote(args, kwargs, tensors)
        if op.view:
            return func(*args, **kwargs)
        read = list(map(self.storages.of, tensors))
        key = None if op.free else call_key(func, args, kwargs)
        if not tensors:
            out = self.shadows.create(op, func, args, kwargs)
        elif True not in meta and op.name != "aten._to_copy":
            out = func(*args, **kwargs)  # real tensors that user code made on the host
        elif op.random or (read[0].shadow is None and meta[0]) or not self.shadows.known(tensors):
            out = self.templates.make(key)
            if out is None:
                out = self._without_values(op, func, args, kwargs)
                if op.repeats:
                    self.templates.learn(key, out, tensors)
        else:
            out = self.shadows.compute(op, func, args, kwargs)
        if not op.free and self.recording:
            self.record(key, op, func, args, kwargs, out, read)
        return out

    def record(self, key: Any, op: Operator, func: Any, args: tuple, kwargs: dict, out: Any, read: list[Storage]) -> None:
        """Append one call; an operator that returns nothing has what it wrote as its outputs."""
        written = op.written(args, kwargs)
        outputs = tensors_in((out,)) or written
        if op.dynamic or not read:  # its outputs do not follow from its inputs
            key = (key, fingerprint(outputs))
        signature = self.signatures.intern(key, op.name, func, args, kwargs, outputs)
        writes = [self.storages.of(tensor).uid for tensor in outputs]
        writes += [uid for tensor in written if (uid := self.storages.of(tensor).uid) not in writes]
        phase, path = self.attribution.where()
        self.calls.append((signature, phase, path, tuple([entry.uid for entry in read]), tuple(writes)))

    def _promote(self, args: tuple, kwargs: dict, tensors: list[torch.Tensor]) -> tuple[tuple, dict, list[torch.Tensor]]:
        for tensor in tensors:
            if not tensor.is_meta and tensor.dim():
                self.note(f"host tensor of shape {tuple(tensor.shape)} in {self.attribution.stack[-1]!r} taken as on the device")
        args, kwargs = self.shadows.promote((args, kwargs))
        return args, kwargs, tensors_in(args) + tensors_in(kwargs.values())

    def _without_values(self, op: Operator, func: Any, args: tuple, kwargs: dict) -> Any:
        try:
            out = self.shadows.lose(op, func, args, kwargs)
        except Exception as error:
            if op.name == "aten._local_scalar_dense" and self.attribution.in_optimizer:
                self.note("the optimizer reads values, such as norms, that scale its step: each was taken as 1")
                return 1.0
            if op.dynamic:
                raise NeedsValue(op.name, self.attribution.stack[-1]) from error
            raise
        if not op.repeats and op.name == "aten.topk":
            self._route(args[0], out)
        return out

    def _route(self, scores: torch.Tensor, out: Any) -> None:
        """Which experts a router picks depends on weights: if a model must know, every expert gets its equal share."""
        self.routed = True
        if self.balanced_routing:
            choice = out[1]
            self.shadows.set(choice, torch.arange(choice.numel()).reshape(choice.shape) % scores.shape[-1])
            what = f"top {choice.shape[-1]} of {scores.shape[-1]}"
            self.note(f"routing by topk in {self.attribution.stack[-1]!r}: assumed balanced, {what}")
