"""Processors of Intel and AMD through RAPL: the energy counters of all packages, as Linux shows them in /sys/class/powercap."""

import platform
from pathlib import Path

from estimator.errors import InvalidSetting
from estimator.measurement.meter import MeterError
from estimator.units import to_si

POWERCAP = Path("/sys/class/powercap")
READABLE = "since CVE-2020-8694 only root may read it: run as root, or let an administrator make energy_uj readable"


class _Package:
    """One counter; it starts again at zero above its range, which is taken off."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.range = float(_read(folder / "max_energy_range_uj"))
        self.last, self.turns = self._count(), 0

    def microjoules(self) -> float:
        """Counted since some moment, turns included; right if asked at least once a turn (minutes)."""
        now = self._count()
        self.turns += now < self.last
        self.last = now
        return self.turns * self.range + now

    def _count(self) -> float:
        return float(_read(self.folder / "energy_uj"))


class RaplMeter:
    """All processor packages of the machine together, without memory and board. Raises `MeterError`, `InvalidSetting`."""

    kind = "rapl"

    def __init__(self, device: int | None = None, root: Path = POWERCAP) -> None:
        if device:
            raise InvalidSetting(f"device {device}: RAPL reads all processors of the machine as one; leave it out")
        zones = sorted(folder for folder in root.glob("intel-rapl:*") if folder.name.count(":") == 1)
        found = [folder for folder in zones if _read(folder / "name").startswith("package")]
        if not found:
            raise MeterError(f"no processor package in {root}: needs Linux on an Intel or AMD processor, not hidden by a virtual machine")
        self.packages = [_Package(folder) for folder in found]

    def name(self) -> str:
        """The processor as the kernel calls it."""
        try:
            lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        except OSError:
            lines = []
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        return names[0] if names else platform.processor() or platform.machine()

    def energy(self) -> float:
        """J of all packages."""
        return to_si(sum(package.microjoules() for package in self.packages), "uJ", "J")

    def power(self) -> None:
        """RAPL counts energy; it reads no power."""

    def clocks(self) -> tuple[float | None, float | None]:
        """Not read: each core has its own."""
        return None, None

    def temperature(self) -> None:
        """Not part of RAPL."""

    def limit(self) -> float | None:
        """W: the long-term limit of all packages together."""
        try:
            limits = [float(_read(package.folder / "constraint_0_power_limit_uw")) for package in self.packages]
        except MeterError:
            return None
        return to_si(sum(limits), "uW", "W")

    def facts(self) -> dict[str, str]:
        """The kernel, which holds the driver."""
        return {"driver": f"RAPL, {platform.system()} {platform.release()}"}

    def strangers(self) -> list[str]:
        """A processor is never free of others: nothing is told."""
        return []

    def close(self) -> None:
        """Nothing is held."""


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except PermissionError as error:
        raise MeterError(f"{path} may not be read: {READABLE}") from error
    except OSError as error:
        raise MeterError(f"{path} cannot be read: {error}") from error
