"""`with estimator.measure(model, inputs=…, run=Training(steps=100)) as m:` predicts a run, then measures the code inside it.

Without a model it only measures. The prediction is made before the block begins, for the cap that is in force on the device.
"""

import sys
import threading
import time
from typing import Any, Self

from tabulate import tabulate

from estimator.api import Hardware, estimate
from estimator.errors import EstimatorError, InvalidSetting, UnknownName
from estimator.hardware.catalogue import load_profile
from estimator.hardware.schema import Profile
from estimator.measurement.meter import Meter
from estimator.measurement.meters import open_meter
from estimator.measurement.recorder import PERIOD, Recorder
from estimator.report.estimate import Estimate
from estimator.run.settings import Inference, Training
from estimator.units import format_change, format_si
from estimator.validation.hardware import limited, profile_name

FIGURES = {"energy": "J", "time": "s", "power": "W"}


def measure(
    model: Any = None,
    *,
    inputs: Any = None,
    run: Inference | Training | None = None,
    hw: Hardware | None = None,
    stack: str | None = None,
    device: int | None = None,
    meter: str | Meter | None = None,
) -> "Session":
    """Measure the code of a `with` block on the device at hand, beside what was predicted for it.

    `model`, `inputs`, `run`, `stack`: as for `estimate`; they should say what the block does (`Training(steps=100)`: a hundred
    steps on such inputs). `hw`: the profile of the device, where the catalogue does not know the name that its driver gives.
    `device`: its number, where there are several. `meter`: "nvidia", "amd", "rapl" or a `Meter`; by default the first there is.

    Entering the block raises `MeterError`, `MissingDependency`, `InvalidSetting` where nothing can be measured, and whatever
    `estimate` raises. Nothing is set on the device.
    """
    if model is None and (inputs is not None or run is not None or stack is not None):
        raise InvalidSetting("inputs, run and stack describe a model's run: give the model as well, or none of them")
    settings = {"inputs": inputs, "run": run, "stack": stack}
    return Session(model, settings, hw, meter, device)


class Session:
    """A measured block. Afterwards: `energy` (J), `time` (s), `power` (W), `predicted` (an `Estimate`), `errors`; prints as a table."""

    def __init__(self, model: Any, settings: dict[str, Any], hw: Hardware | None, meter: str | Meter | None, device: int | None) -> None:
        self.model, self.settings, self.hw, self.device = model, settings, hw, device
        self.predicted: Estimate | None = None
        self.notes: list[str] = []
        self.name = ""
        self._meter = meter
        self._figures: dict[str, float] = {}

    def __enter__(self) -> Self:
        """Predict, then start the meter."""
        meter = self._meter if isinstance(self._meter, Meter) else open_meter(self._meter, self.device)
        try:
            self.name = meter.name()
            if self.model is not None:
                self.predicted = estimate(self.model, hw=self._profile(meter), **self.settings)
            self._poller = _Poller(meter)
        except BaseException:
            meter.close()
            raise
        _synchronize()
        self._begin = self._poller.start()
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        """Wait for the device, read the meter once more, and let go of it."""
        if kind is None:
            _synchronize()
        end = time.perf_counter()
        meter = self._poller.recorder.meter
        try:
            self._poller.stop()
            if kind is None:
                self._conclude(end)
        finally:
            meter.close()

    def _conclude(self, end: float) -> None:
        recorder = self._poller.recorder
        seconds, joules = end - self._begin, recorder.energy(self._begin, end)
        self._figures = {"energy": joules, "time": seconds, "power": joules / seconds}
        if seconds < 10 * max(recorder.step, PERIOD):
            self.notes.append(f"{format_si(seconds, 's')} are short for a sensor that is refreshed every 0.1 s: measure seconds of work")
        others = recorder.meter.strangers()
        if others:
            self.notes.append(f"other processes on the device, whose joules are counted in: {', '.join(others)}")

    @property
    def energy(self) -> float:
        """J that the device drew during the block."""
        return self._figure("energy")

    @property
    def time(self) -> float:
        """Seconds of the block, the device's queue included."""
        return self._figure("time")

    @property
    def power(self) -> float:
        """W, mean."""
        return self._figure("power")

    @property
    def errors(self) -> dict[str, float]:
        """Predicted ÷ measured - 1 of energy, time and power; empty without a prediction."""
        return {name: getattr(self.predicted, name) / self._figure(name) - 1 for name in FIGURES} if self.predicted else {}

    def _figure(self, name: str) -> float:
        if not self._figures:
            raise EstimatorError(f"no {name} yet: it is known when the `with` block has ended without an error")
        return self._figures[name]

    def _profile(self, meter: Meter) -> Profile:
        try:
            profile = load_profile(profile_name(meter.name()) if self.hw is None else self.hw)
        except UnknownName as error:
            hint = "" if self.hw is not None else "; say which profile stands for this device: measure(…, hw='H100')"
            raise UnknownName(f"{error}{hint}") from None
        cap = meter.limit()
        return profile if cap is None or cap == profile.power.limit else limited(profile, cap)

    def __str__(self) -> str:
        if not self._figures:
            return f"measuring on {self.name}" if self.name else "not measured yet"
        measured = [[name, format_si(self._figures[name], unit)] for name, unit in FIGURES.items()]
        if self.predicted is None:
            parts = [f"measured on {self.name}", tabulate(measured, tablefmt="plain", colalign=("left", "right"))]
        else:
            parts = [f"{self.predicted.model} on {self.name}", self._comparison(measured, self.predicted)]
        return "\n".join([*parts, *(f"note: {note}" for note in self.notes)])

    def _comparison(self, measured: list[list[str]], predicted: Estimate) -> str:
        low, high = predicted.interval()
        rows = [
            [*cells, format_si(getattr(predicted, name), unit), format_change(error)]
            for cells, (name, unit), error in zip(measured, FIGURES.items(), self.errors.values())
        ]
        table = tabulate(rows, ["", "measured", "predicted", "error"], disable_numparse=True, colalign=("left", "right", "right", "right"))
        inside = "lies in" if low <= self.energy <= high else "lies outside of"
        return f"{table}\nthe measured energy {inside} the 90 % interval of the prediction, {format_si(low, 'J')} … {format_si(high, 'J')}"

    __repr__ = __str__


class _Poller:
    """A thread that reads the meter while the user's code runs."""

    def __init__(self, meter: Meter) -> None:
        self.recorder = Recorder(meter)
        self._thread = threading.Thread(target=self._poll, name="power meter", daemon=True)
        self._ended = threading.Event()
        self._error: Exception | None = None

    def start(self) -> float:
        """Wait for a step of the counter, then read on; the moment at which the block begins."""
        self.recorder.wait_for_step()
        self._thread.start()
        return time.perf_counter()

    def stop(self) -> None:
        """Read until the counter has moved past this moment; raises what reading raised."""
        self._ended.set()
        self._thread.join()
        if self._error is not None:
            raise self._error
        self.recorder.wait_for_step()

    def _poll(self) -> None:
        try:
            while not self._ended.wait(PERIOD / 10):
                self.recorder.poll()
        except Exception as error:
            self._error = error


def _synchronize() -> None:
    """Wait for work that torch has queued, if this program uses torch at all."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.synchronize()
