"""Time of a kernel: the longest of its resources, each at its achievable fraction, plus what the launch costs.

Resources in the core's clock domain take cycles; DRAM takes seconds. Keeping the two apart lets the operating point be
solved without looking at the kernels again. The way from DRAM into L2 is in the core's domain, so a low clock slows memory, too.
"""

from dataclasses import dataclass

from estimator.errors import ProfileError
from estimator.hardware.collective import link_of, link_seconds
from estimator.hardware.demand import Demand
from estimator.hardware.schema import Profile

# ways of bytes through the chip, beside which units work, and the bound that each of them is
PASSAGES = {"L2": "L2", "L2 fill": "L2", "passage": "L2", "transposition": "shared"}


@dataclass(frozen=True, slots=True)
class Duration:
    """Cycles of the busiest on-chip resource, seconds of DRAM and of the link, the launch's overhead and interval in seconds."""

    cycles: float
    core_resource: str
    memory_seconds: float
    overhead: float
    interval: float
    link_seconds: float = 0.0

    def execution(self, clock: float) -> float:
        """Seconds in which the kernel runs at `clock` (Hz)."""
        return max(self.cycles / clock, self.memory_seconds, self.link_seconds)

    def running(self, clock: float) -> float:
        """Seconds in which the kernel holds the multiprocessors, so that their clocks toggle: filling and draining included."""
        return self.execution(clock) + self.overhead

    def seconds(self, clock: float) -> float:
        """Seconds from this launch to the next."""
        return max(self.running(clock), self.interval)

    def bound(self, clock: float) -> str:
        """The resource that sets the time: "tensor", "vector", "special", "shared", "L2", "memory", "link" or "launch"."""
        if self.seconds(clock) > 2 * self.execution(clock):
            return "launch"
        if self.link_seconds > max(self.memory_seconds, self.cycles / clock):
            return "link"
        return "memory" if self.memory_seconds >= self.cycles / clock else self.core_resource


def duration(demand: Demand, profile: Profile) -> Duration:
    """Roofline of one launch (Williams, Waterman and Patterson, CACM 2009) with one roof per unit and memory level.

    Units work side by side as far as `demand.overlap` says; what does not overlap adds to the busiest unit.
    """
    cycles = core_cycles(demand, profile)
    beside = {name: cycles.pop(name, 0.0) for name in PASSAGES}
    resource = max(cycles, key=cycles.__getitem__)
    busy = cycles[resource] + (1 - demand.overlap) * (sum(cycles.values()) - cycles[resource])
    longest = max(beside, key=beside.__getitem__)
    core, memory, link = (
        resource if busy >= beside[longest] else PASSAGES[longest],
        memory_seconds(demand, profile),
        exchange_seconds(demand, profile),
    )
    open_ = demand.exposed
    return Duration(
        open_ * (max(busy, beside[longest]) + fill_cycles(demand, profile)),
        core,
        memory,
        open_ * demand.overhead,
        open_ * demand.interval,
        link,
    )


def exchange_seconds(demand: Demand, profile: Profile) -> float:
    """Seconds that one launch waits for other devices; raises `InvalidSetting` where the device lacks the link."""
    return demand.exposed * link_seconds(link_of(profile, demand.link), demand.link_bytes, demand.link_steps) if demand.link else 0.0


def memory_seconds(demand: Demand, profile: Profile) -> float:
    """Seconds that off-chip memory needs for one launch."""
    return demand.memory_bytes / (profile.memory.bandwidth * profile.achievable.memory * demand.memory_share)


def core_cycles(demand: Demand, profile: Profile) -> dict[str, float]:
    """Core clock cycles that each on-chip resource needs for one launch."""
    processors = profile.die.multiprocessors
    vector = rate(profile, "vector", demand.vector_format) * processors * profile.achievable.vector
    cycles = {
        "vector": (demand.vector_ops + demand.vector_waits) / vector,
        "special": demand.special_ops / (profile.vector.special_per_clock * processors * profile.achievable.vector),
    }
    if demand.integer_ops and profile.vector.integer_per_clock is not None:
        cycles["integer"] = demand.integer_ops / (profile.vector.integer_per_clock * processors * profile.achievable.vector)
    if demand.mac_slots:
        matrix = rate(profile, demand.unit, demand.mac_format) * processors
        achievable = profile.achievable.tensor if demand.unit == "tensor" else profile.achievable.vector
        cycles[demand.unit] = demand.mac_slots / (matrix * achievable) + cycles.get(demand.unit, 0.0)
    if profile.l2.bandwidth is not None:
        cycles["L2"] = demand.l2_bytes / (profile.l2.bandwidth * profile.achievable.l2)
    if profile.memory.pin_bytes_per_clock is not None and profile.memory.bus_width is not None:
        cycles["L2 fill"] = demand.memory_bytes / (profile.memory.pin_bytes_per_clock * profile.memory.bus_width)
    if demand.transposed_bytes and profile.tensor and profile.tensor.transpose_rate is not None:
        cycles["transposition"] = demand.transposed_bytes / (profile.tensor.transpose_rate * processors)
    if demand.chip_share is not None:
        streamed = profile.memory.bandwidth * profile.achievable.memory / profile.clock.boost
        cycles["passage"] = demand.memory_bytes / (streamed * demand.chip_share)
    return cycles


def fill_cycles(demand: Demand, profile: Profile) -> float:
    """Core clock cycles in which multiprocessors wait for a tile's first operands and for its last result."""
    fill = profile.tensor.tile_fill if profile.tensor else None
    return demand.rounds * fill if fill is not None else 0.0


def rate(profile: Profile, unit: str, number_format: str) -> float:
    """Multiply-adds per clock and multiprocessor; raises `ProfileError` where the unit lacks the format."""
    section = getattr(profile, unit)
    try:
        return section.fma_per_clock[number_format]
    except (AttributeError, KeyError):
        known = ", ".join(section.fma_per_clock) if section else "no such unit"
        raise ProfileError(
            f"{profile.name} has no {unit} rate for {number_format!r} (it has: {known}); add it to {unit}.fma_per_clock"
        ) from None
