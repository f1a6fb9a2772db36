"""NVIDIA GPUs through NVML (the package nvidia-ml-py). Only queries are called; nothing is ever set.

What the sensors are (Yang, Adamek and Armour, "Part-time Power Measurements", SC 2024, arXiv:2312.02741): the power reading is
refreshed every 100 ms or less; on A100 and H100 it averages 25 ms of those 100, on others all of them or the last second. The
energy counter (Volta and newer) moves every 20 to 100 ms. Hence windows of seconds, and differences between counter steps.
"""

import os
from typing import Any

from estimator.errors import MissingDependency
from estimator.measurement.meter import MeterError
from estimator.measurement.meters import chosen
from estimator.units import to_si

INSTALL = "pip install 'joules-estimator[measure]', or nvidia-ml-py by itself"


class NvidiaMeter:
    """One GPU, by its NVML number (which ignores CUDA_VISIBLE_DEVICES). Raises `MeterError`, `MissingDependency`, `InvalidSetting`."""

    kind = "nvidia"

    def __init__(self, device: int | None = None) -> None:
        self.nvml = _library()
        count = self._must(self.nvml.nvmlDeviceGetCount)
        names = [_text(self._must(self.nvml.nvmlDeviceGetName, self._handle(index))) for index in range(count)]
        self.device = chosen("NVIDIA", names, device)
        self.handle = self._handle(self.device)
        self._name = names[self.device]
        self._refuse_slices()

    def name(self) -> str:
        """As NVML calls it, such as "NVIDIA H200"."""
        return self._name

    def energy(self) -> float | None:
        """J since the driver was loaded; None before Volta."""
        return _si(self._ask(self.nvml.nvmlDeviceGetTotalEnergyConsumption), "mJ", "J")

    def power(self) -> float | None:
        """W of the whole board."""
        return _si(self._ask(self.nvml.nvmlDeviceGetPowerUsage), "mW", "W")

    def clocks(self) -> tuple[float | None, float | None]:
        """Hz of multiprocessors and memory."""
        kinds = (self.nvml.NVML_CLOCK_SM, self.nvml.NVML_CLOCK_MEM)
        core, memory = (_si(self._ask(self.nvml.nvmlDeviceGetClockInfo, kind), "MHz", "Hz") for kind in kinds)
        return core, memory

    def temperature(self) -> float | None:
        """K of the die."""
        return _si(self._ask(self.nvml.nvmlDeviceGetTemperature, self.nvml.NVML_TEMPERATURE_GPU), "degC", "K")

    def limit(self) -> float | None:
        """W: the cap that is enforced."""
        return _si(self._ask(self.nvml.nvmlDeviceGetEnforcedPowerLimit), "mW", "W")

    def facts(self) -> dict[str, str]:
        """Driver and identity of the board."""
        driver, identity = self._must(self.nvml.nvmlSystemGetDriverVersion), self._must(self.nvml.nvmlDeviceGetUUID, self.handle)
        return {"driver": f"NVIDIA {_text(driver)}", "uuid": _text(identity)}

    def strangers(self) -> list[str]:
        """Other processes that compute on the GPU."""
        seen = self._ask(self.nvml.nvmlDeviceGetComputeRunningProcesses) or []
        return [f"process {process.pid}" for process in seen if process.pid != os.getpid()]

    def close(self) -> None:
        """End the NVML session."""
        self.nvml.nvmlShutdown()

    def _handle(self, index: int) -> Any:
        return self._must(self.nvml.nvmlDeviceGetHandleByIndex, index)

    def _refuse_slices(self) -> None:
        mode = self._ask(self.nvml.nvmlDeviceGetMigMode)
        if mode and mode[0] == self.nvml.NVML_DEVICE_MIG_ENABLE:
            raise MeterError(
                f"{self._name} is cut into MIG instances: NVML reads power and energy of the whole board only, so what one instance "
                "draws cannot be told. Measure on a GPU without MIG; this program does not change the mode"
            )

    def _ask(self, query: Any, *arguments: Any) -> Any:
        """The answer of a query about this GPU; None where it has no such sensor."""
        return self._must(query, self.handle, *arguments, optional=True)

    def _must(self, query: Any, *arguments: Any, optional: bool = False) -> Any:
        try:
            return query(*arguments)
        except self.nvml.NVMLError as error:
            if optional and error.value == self.nvml.NVML_ERROR_NOT_SUPPORTED:
                return None
            if error.value == self.nvml.NVML_ERROR_NO_PERMISSION:
                raise MeterError(f"NVML refuses to read the GPU ({error}): ask for the device's rights, or run as another user") from error
            raise MeterError(f"NVML does not answer {query.__name__}: {error}. Check that nvidia-smi works in the same place") from error


def _library() -> Any:
    """NVML, initialised."""
    try:
        import pynvml
    except ImportError as error:
        raise MissingDependency(f"reading an NVIDIA GPU needs nvidia-ml-py, which is not installed: {INSTALL}") from error
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        raise MeterError(f"NVML cannot be used here ({error}): an NVIDIA GPU with its driver is needed; nvidia-smi must work") from error
    return pynvml


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _si(value: Any, unit: str, base: str) -> float | None:
    return None if value is None else to_si(float(value), unit, base)
