"""A torch device on which rows are run. Launches are queued; only the end of a stretch is waited for."""

import time
from collections.abc import Callable
from functools import cached_property
from importlib import import_module
from typing import Any

import torch

from estimator.errors import InvalidSetting, MissingDependency
from estimator.measurement.window import Launch, Queued
from estimator.measurement.work import kernels, pauses
from estimator.validation.rows import NotPredicted, Row

Call = Callable[[], Any]
Builder = Callable[[Row, torch.device], Call]
BUILDERS: dict[str, Builder] = {**kernels.BUILDERS, **pauses.BUILDERS}


class _Ended:
    """Work that ends before its launch returns, as all does on a processor."""

    def done(self) -> bool:
        """Always."""
        return True

    def wait(self) -> None:
        """Nothing to wait for."""


class _Event:
    """Work queued on a CUDA device up to now."""

    def __init__(self, device: torch.device) -> None:
        self.event = torch.cuda.Event()
        self.event.record(torch.cuda.current_stream(device))

    def done(self) -> bool:
        """Whether the device has got that far."""
        return self.event.query()

    def wait(self) -> None:
        """Until the device has got that far."""
        self.event.synchronize()


class TorchBench:
    """A device by torch's name ("cpu", "cuda:0") or by the GPU's identity, whatever CUDA_VISIBLE_DEVICES hides.

    CUDA is not touched before the first row that needs it, so that an idle card is idle. Raises `MissingDependency` where torch
    sees no GPU.
    """

    def __init__(self, name: str = "", uuid: str = "") -> None:
        if name != "cpu" and not torch.cuda.is_available():
            raise MissingDependency(f"torch {torch.__version__} sees no GPU: install a build with CUDA, or run where nvidia-smi works")
        self.name, self.uuid = name, uuid

    @cached_property
    def device(self) -> torch.device:
        """The device; raises `InvalidSetting` where torch is not shown that GPU."""
        if self.name:
            return torch.device(self.name)
        for index in range(torch.cuda.device_count()):
            if str(torch.cuda.get_device_properties(index).uuid) in self.uuid:
                return torch.device("cuda", index)
        raise InvalidSetting(f"the GPU {self.uuid} is hidden from torch: CUDA_VISIBLE_DEVICES leaves it out")

    def prepare(self, row: Row) -> Launch:
        """The row's work on this device; raises `NotPredicted` with the reason where the device cannot do it."""
        if row.text("op") == "idle":
            return self._rest
        torch.empty(1, device=self.device)
        try:
            with torch.inference_mode(row.text("task") != "training"):
                return self._launcher(row)
        except torch.OutOfMemoryError as error:
            raise NotPredicted("does not fit into the memory of this device") from error
        except (RuntimeError, NotImplementedError) as error:
            raise NotPredicted(f"this device or this torch cannot do it: {str(error).splitlines()[0]}") from error

    def now(self) -> float:
        """s, of a clock that never steps back."""
        return time.perf_counter()

    def sleep(self, seconds: float) -> None:
        """Wait without work."""
        time.sleep(seconds)

    def release(self) -> None:
        """Give back the memory of the last row."""
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()

    def _rest(self, count: int) -> Queued:
        for _ in range(count):
            self.sleep(pauses.REST)
        return _Ended()

    def _call(self, row: Row) -> Call:
        if row.text("model_id"):
            return _models().step(row, self.device)
        task = row.text("task") or row.text("op")
        if task not in BUILDERS:
            raise InvalidSetting(f"no work is known for the task {task!r}; known: {', '.join(sorted(BUILDERS))}")
        return BUILDERS[task](row, self.device)

    def _launcher(self, row: Row) -> Launch:
        repeated = _repeated(self._call(row), row.whole("loops", 1), self.device)
        training = row.text("task") == "training"
        repeated()  # what fails, fails here

        def launch(count: int) -> Queued:
            with torch.inference_mode(not training):
                for _ in range(count):
                    repeated()
            return _Event(self.device) if self.device.type == "cuda" else _Ended()

        return launch


def _repeated(call: Call, loops: int, device: torch.device) -> Call:
    """`loops` calls as one: a CUDA graph where there is CUDA, so that kernels of microseconds follow one another."""
    if loops == 1:
        return call

    def all_of_them() -> None:
        for _ in range(loops):
            call()

    if device.type != "cuda":
        return all_of_them
    call()
    torch.cuda.synchronize(device)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        all_of_them()
    return graph.replay


def _models() -> Any:
    try:
        return import_module("estimator.measurement.work.models")
    except ImportError as error:
        raise MissingDependency("measuring whole models needs transformers: pip install 'joules-estimator[hf]'") from error
