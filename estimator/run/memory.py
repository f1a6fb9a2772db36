"""Does it fit? What a run must keep in device memory, and a plain warning where that is more than there is."""

from estimator.hardware.schema import Profile
from estimator.units import format_si


def shortfall(profile: Profile, parts: dict[str, float]) -> list[str]:
    """A warning with the shortfall if the `parts` (name → bytes) exceed the memory of the device; empty if they fit."""
    needed = sum(parts.values())
    missing = needed - profile.memory.capacity
    if missing <= 0:
        return []
    listed = ", ".join(f"{name} {format_si(size, 'B')}" for name, size in parts.items() if size)
    return [
        f"WARNING: does not fit: needs {format_si(needed, 'B')} ({listed}) and {profile.name} has "
        f"{format_si(float(profile.memory.capacity), 'B')}, {format_si(missing, 'B')} too little; "
        "the figures are for a device with enough memory"
    ]
