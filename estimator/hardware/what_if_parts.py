"""Parts that do not exist yet: more or fewer multiprocessors, memory stacks, cache. `profile.with_(sm_count=160, hbm_stacks=8)`.

What hangs on the changed part follows: transistors, and with them leakage, clock tree and die area; bandwidth, capacity and
idle power of the memory. Power limit and cooling stay, for they are decisions: set them with `at`.
"""

from math import inf, nextafter
from typing import Any

from estimator.errors import InvalidSetting, ProfileError
from estimator.facts import load_facts
from estimator.hardware.schema import Memory, Profile
from estimator.hardware.what_if_change import GIVEN, changed, given
from estimator.quantity import Quantity
from estimator.units import format_si

ABOVE_ZERO = nextafter(0.0, inf)
BITS_PER_BYTE = 8  # exact: by definition


def with_(
    profile: Profile,
    *,
    sm_count: int | None = None,
    hbm_stacks: int | None = None,
    memory_bandwidth: Any = None,
    memory_capacity: Any = None,
    l2_capacity: Any = None,
) -> Profile:
    """`profile` with another number of multiprocessors or memory stacks, another memory or another L2.

    `sm_count` and `hbm_stacks` are whole numbers; `memory_bandwidth` (B/s), `memory_capacity` (B) and `l2_capacity` (B) are
    numbers in SI units or texts with a unit, such as "6 TB/s" or "96 GiB". A stack brings its bandwidth, capacity, idle power
    and controllers; a bandwidth alone means faster pins, whose idle power grows with it.

    Raises `InvalidSetting` for what is no such number or contradicts itself, `ProfileError` where the profile does not say
    how many stacks it has.
    """
    if hbm_stacks is not None and (memory_bandwidth is not None or memory_capacity is not None):
        raise InvalidSetting(
            "hbm_stacks was given together with memory_bandwidth or memory_capacity: a stack brings both; give the stacks or the other two"
        )
    if sm_count is not None:
        profile = _with_processors(profile, _count("sm_count", sm_count))
    if hbm_stacks is not None:
        profile = _with_stacks(profile, _count("hbm_stacks", hbm_stacks))
    if memory_bandwidth is not None:
        profile = _with_bandwidth(
            profile, given("memory_bandwidth", memory_bandwidth, "B/s", ABOVE_ZERO, inf, "bytes per second, or '6 TB/s'")
        )
    if memory_capacity is not None:
        capacity = given("memory_capacity", memory_capacity, "B", ABOVE_ZERO, inf, "bytes, or '96 GiB'")
        words = f"{format_si(capacity, 'B')} of memory instead of {format_si(profile.memory.capacity, 'B')}"
        profile = changed(profile, f"{format_si(capacity, 'B')} memory", words, memory={"capacity": capacity})
    return (
        profile
        if l2_capacity is None
        else _with_cache(profile, given("l2_capacity", l2_capacity, "B", ABOVE_ZERO, inf, "bytes, or '96 MiB'"))
    )


def _count(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidSetting(f"{name}={value!r}: expected a whole number of at least 1")
    return value


def _with_processors(profile: Profile, count: int) -> Profile:
    ratio = count / profile.die.multiprocessors
    words = f"{count} multiprocessors instead of {profile.die.multiprocessors:.0f}"
    die = _grown(profile, 1 + load_facts("physics/what_if")["die_share"]["multiprocessors"] * (ratio - 1), words)
    return changed(profile, f"{count} SMs", words, die=die | {"multiprocessors": Quantity(count, source=GIVEN, status="assumed")})


def _with_stacks(profile: Profile, count: int) -> Profile:
    memory, widths = profile.memory, load_facts("physics/what_if")["stack_width"]
    kind = memory.kind.upper()
    width = widths.get(kind[: len("HBM4")], widths["HBM"]) if kind.startswith("HBM") else None
    if width is None or memory.bus_width is None:
        raise ProfileError(
            f"hbm_stacks={count}: {profile.name} has {memory.kind}, and its profile does not say how many stacks of it; state "
            "memory.bus_width of a part with HBM, or give memory_bandwidth and memory_capacity instead"
        )
    ratio = count * width / memory.bus_width
    words = f"{count} stacks of {memory.kind} instead of {memory.bus_width / width:.0f}"
    section = _scaled(memory, ("bandwidth", "capacity", "idle_power", "clocked_power", "bus_width"), ratio, words)
    die = _grown(profile, 1 + load_facts("physics/what_if")["die_share"]["memory_controllers"] * (ratio - 1), words)
    return changed(profile, f"{count} stacks", words, memory=section, die=die)


def _with_bandwidth(profile: Profile, bandwidth: Quantity) -> Profile:
    memory = profile.memory
    ratio = bandwidth / memory.bandwidth
    words = f"memory at {format_si(bandwidth, 'B/s')} instead of {format_si(memory.bandwidth, 'B/s')}, its idle power in proportion"
    section = {"bandwidth": bandwidth} | _scaled(memory, ("idle_power", "clocked_power", "pin_rate"), ratio, words)
    return changed(profile, f"{format_si(bandwidth, 'B/s')} memory", words, memory=section)


def _with_cache(profile: Profile, capacity: Quantity) -> Profile:
    words = f"L2 of {format_si(capacity, 'B')} instead of {format_si(profile.l2.capacity, 'B')}"
    per_bit = load_facts("physics/what_if")["die_share"]["transistors_per_bit"]
    added = (capacity - profile.l2.capacity) * BITS_PER_BYTE * per_bit
    return changed(
        profile,
        f"{format_si(capacity, 'B')} L2",
        words,
        l2={"capacity": capacity},
        die=_grown(profile, 1 + added / profile.die.transistors, words),
    )


def _scaled(memory: Memory, names: tuple[str, ...], ratio: float, words: str) -> dict[str, Quantity]:
    """Those of the named numbers of a memory that are known, times `ratio`."""
    known = {name: getattr(memory, name) for name in names}
    return {name: value.scaled(ratio, words) for name, value in known.items() if value is not None}


def _grown(profile: Profile, factor: float, words: str) -> dict[str, Any]:
    """Transistors and area of the die, both times `factor`."""
    area = profile.die.area
    return {"transistors": profile.die.transistors.scaled(factor, words), "area": None if area is None else area.scaled(factor, words)}
