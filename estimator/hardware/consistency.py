"""What a profile says that hardly can be: figures that contradict each other, their node or what is published beside them."""

from collections.abc import Iterator

from estimator.errors import Infeasible
from estimator.hardware.events import BITS_PER_BYTE
from estimator.hardware.power import idle_power
from estimator.hardware.schema import Profile
from estimator.units import format_si

BANDWIDTH, DENSITY, IDLE = 0.01, 0.01, 0.25  # exact: tolerances of the comparisons, not facts
SQUARE_MILLIMETRES = 1e6  # exact: in a square metre
MILLION = 1e6  # exact: by definition


def doubts(profile: Profile) -> list[str]:
    """One sentence for each figure worth a second look; empty where nothing contradicts."""
    checks = (_provenance, _bandwidth, _density, _idle, _limits)
    return [sentence for check in checks for sentence in check(profile)]


def _provenance(profile: Profile) -> Iterator[str]:
    for path, number in profile.quantities().items():
        if not number.source.strip():
            yield f"{path} has no source; give one at the number, or at the top of its table or file"
        if number.status == "assumed" and not number.low < number.high:
            yield f"{path} is assumed without a range; give low and high, wide enough to hold the truth"


def _bandwidth(profile: Profile) -> Iterator[str]:
    memory = profile.memory
    if memory.bus_width is not None and memory.pin_rate is not None:
        implied = memory.bus_width * memory.pin_rate / BITS_PER_BYTE
        if abs(implied / memory.bandwidth - 1) > BANDWIDTH:
            yield f"memory.bandwidth is {format_si(memory.bandwidth, 'B/s')}, bus_width × pin_rate make {format_si(implied, 'B/s')}"


def _density(profile: Profile) -> Iterator[str]:
    if profile.die.area is None:
        return
    density, node = profile.die.transistors / profile.die.area, profile.process.transistor_density
    if not node.low * (1 - DENSITY) <= density <= node.high * (1 + DENSITY):
        low, here, high = (f"{value / SQUARE_MILLIMETRES / MILLION:.3g}" for value in (node.low, density, node.high))
        yield f"die.transistors ÷ die.area is {here} million per mm²; {profile.process.name} has {low} to {high}"


def _idle(profile: Profile) -> Iterator[str]:
    published = profile.power.idle
    try:
        predicted = idle_power(profile)
    except Infeasible as error:
        yield str(error)
        return
    if predicted >= profile.power.limit:
        yield f"standing still the part would draw {predicted:.4g} W, more than power.limit ({profile.power.limit:.4g} W)"
    elif published is not None and abs(predicted / published - 1) > IDLE:
        yield f"idle power follows as {predicted:.3g} W, power.idle says {published:.3g} W; board, leakage or memory.idle_power may be off"


def _limits(profile: Profile) -> Iterator[str]:
    names = ("idle", "idle_with_context", "minimum_limit", "limit", "maximum_limit")
    stated = [(name, getattr(profile.power, name)) for name in names if getattr(profile.power, name) is not None]
    for (lower, less), (higher, more) in zip(stated, stated[1:]):
        if less > more:
            yield f"power.{lower} ({less:.4g} W) exceeds power.{higher} ({more:.4g} W)"
