"""AMD GPUs through amdsmi, which comes with ROCm. Only queries are called; nothing is ever set. Not tried on a card."""

import os
from collections.abc import Iterable
from typing import Any

from estimator.errors import MissingDependency
from estimator.measurement.meter import MeterError
from estimator.measurement.meters import chosen
from estimator.units import to_si


class AmdMeter:
    """One GPU, by its number. Raises `MeterError`, `MissingDependency`, `InvalidSetting`."""

    kind = "amd"

    def __init__(self, device: int | None = None) -> None:
        self.smi = _library()
        handles = self._must(self.smi.amdsmi_get_processor_handles)
        names = [str(self._must(self.smi.amdsmi_get_gpu_asic_info, handle)["market_name"]) for handle in handles]
        self.device = chosen("AMD", names, device)
        self.handle, self._name = handles[self.device], names[self.device]

    def name(self) -> str:
        """As the vendor markets it."""
        return self._name

    def energy(self) -> float | None:
        """J by the accumulator; None on a virtual machine's guest."""
        answer = self._ask(self.smi.amdsmi_get_energy_count)
        count = _first(answer, ("energy_accumulator", "power"))
        return None if count is None else to_si(count * answer["counter_resolution"], "uJ", "J")

    def power(self) -> float | None:
        """W of the socket."""
        return _first(self._ask(self.smi.amdsmi_get_power_info), ("current_socket_power", "average_socket_power"))

    def clocks(self) -> tuple[float | None, float | None]:
        """Hz of compute units and memory."""
        kinds = self.smi.AmdSmiClkType
        core, memory = (_first(self._ask(self.smi.amdsmi_get_clock_info, kind), ("clk", "cur_clk")) for kind in (kinds.GFX, kinds.MEM))
        return _scaled(core, "MHz", "Hz"), _scaled(memory, "MHz", "Hz")

    def temperature(self) -> float | None:
        """K at the hottest place of the die."""
        place, now = self.smi.AmdSmiTemperatureType.HOTSPOT, self.smi.AmdSmiTemperatureMetric.CURRENT
        return _scaled(_number(self._ask(self.smi.amdsmi_get_temp_metric, place, now)), "degC", "K")

    def limit(self) -> float | None:
        """W: the cap in force."""
        return _scaled(_first(self._ask(self.smi.amdsmi_get_power_cap_info), ("power_cap",)), "uW", "W")

    def facts(self) -> dict[str, str]:
        """Driver and identity."""
        driver = self._ask(self.smi.amdsmi_get_gpu_driver_info) or {}
        return {"driver": f"AMD {driver.get('driver_version', 'unknown')}", "uuid": str(self._ask(self.smi.amdsmi_get_gpu_device_uuid))}

    def strangers(self) -> list[str]:
        """Other processes on the GPU."""
        seen = [process for process in self._ask(self.smi.amdsmi_get_gpu_process_list) or [] if isinstance(process, dict)]
        return [f"process {process['pid']}" for process in seen if process.get("pid") != os.getpid()]

    def close(self) -> None:
        """End the amdsmi session."""
        self.smi.amdsmi_shut_down()

    def _ask(self, query: Any, *arguments: Any) -> Any:
        """The answer of a query about this GPU; None where the part, or this user, has none."""
        try:
            return query(self.handle, *arguments)
        except self.smi.AmdSmiException:
            return None

    def _must(self, query: Any, *arguments: Any) -> Any:
        try:
            return query(*arguments)
        except self.smi.AmdSmiException as error:
            raise MeterError(f"amdsmi does not answer {query.__name__}: {error}. Check that amd-smi works in the same place") from error


def _library() -> Any:
    """amdsmi, initialised."""
    try:
        import amdsmi
    except ImportError as error:
        raise MissingDependency("reading an AMD GPU needs amdsmi, which comes with ROCm and is not installed here") from error
    try:
        amdsmi.amdsmi_init()
    except amdsmi.AmdSmiException as error:
        raise MeterError(f"amdsmi cannot be used here ({error}): an AMD GPU with its driver is needed; amd-smi must work") from error
    return amdsmi


def _number(value: Any) -> float | None:
    """The library says "N/A" for what it does not know, and all ones where a sensor is missing."""
    missing = not isinstance(value, (int, float)) or value in (2**16 - 1, 2**32 - 1, 2**64 - 1)
    return None if missing else float(value)


def _first(answer: Any, keys: Iterable[str]) -> float | None:
    """The first of `keys` (they were renamed over the years) that the answer holds as a number."""
    found = (_number(answer.get(key)) for key in keys) if answer else iter(())
    return next((value for value in found if value is not None), None)


def _scaled(value: float | None, unit: str, base: str) -> float | None:
    return None if value is None else to_si(value, unit, base)
