"""NVML over a simulated card, for `sys.modules["pynvml"]`. Whatever would change a card fails the test that calls it."""

from tests.measurement.card import Card

CHANGING = ("nvmlDeviceSet", "nvmlDeviceReset", "nvmlDeviceClear", "nvmlDeviceCreate", "nvmlDeviceModify", "nvmlSystemSet", "nvmlUnitSet")


class NVMLError(Exception):
    def __init__(self, value: int = 999, text: str = "Unknown Error"):
        super().__init__(text)
        self.value, self.text = value, text

    def __str__(self):
        return self.text


class Process:
    def __init__(self, pid: int):
        self.pid = pid


class FakeNvml:
    """The queries that exist; `errors` makes a query fail, `names` are the cards (the first is the simulated one)."""

    NVMLError = NVMLError
    NVML_ERROR_NOT_SUPPORTED, NVML_ERROR_NO_PERMISSION, NVML_ERROR_LIBRARY_NOT_FOUND = 3, 4, 12
    NVML_CLOCK_SM, NVML_CLOCK_MEM, NVML_TEMPERATURE_GPU, NVML_DEVICE_MIG_ENABLE = 1, 2, 0, 1

    def __init__(self, card: Card | None = None, names=("NVIDIA H200",), limit=700.0, mig=0, errors=None):
        self.card, self.names, self.limit, self.mig, self.errors = card or Card(), names, limit, mig, errors or {}
        self.called: set[str] = set()
        self.open = False

    def __getattr__(self, name: str):
        """A query by its NVML name, counted; anything that is no query of this class does not exist."""
        if name.startswith(
            ("nvmlDeviceSet", "nvmlDeviceReset", "nvmlDeviceClear", "nvmlSystemSet", "nvmlDeviceCreate", "nvmlDeviceModify")
        ):
            raise AssertionError(f"{name} would change the card")
        answer = type(self).__dict__.get(f"_{name}")
        if answer is None:
            raise AttributeError(name)

        def query(*arguments):
            self.called.add(name)
            if name in self.errors:
                raise self.errors[name]
            return answer(self, *arguments)

        query.__name__ = name
        return query

    def _nvmlInit(self):
        self.open = True

    def _nvmlShutdown(self):
        self.open = False

    def _nvmlDeviceGetCount(self):
        return len(self.names)

    def _nvmlDeviceGetHandleByIndex(self, index):
        return index

    def _nvmlDeviceGetName(self, handle):
        return self.names[handle]

    def _nvmlDeviceGetUUID(self, handle):
        return f"GPU-0000-{handle}"

    def _nvmlSystemGetDriverVersion(self):
        return "580.00"

    def _nvmlDeviceGetMigMode(self, handle):
        return [self.mig, self.mig]

    def _nvmlDeviceGetTotalEnergyConsumption(self, handle):
        return int(self.card.counter() * 1000)

    def _nvmlDeviceGetPowerUsage(self, handle):
        return int(self.card.power() * 1000)

    def _nvmlDeviceGetClockInfo(self, handle, kind):
        return round((self.card.core_clock() if kind == self.NVML_CLOCK_SM else 3201e6) / 1e6)

    def _nvmlDeviceGetTemperature(self, handle, sensor):
        return 45

    def _nvmlDeviceGetEnforcedPowerLimit(self, handle):
        return int(self.limit * 1000)

    def _nvmlDeviceGetComputeRunningProcesses(self, handle):
        return [Process(pid) for pid in self.card.pids]
