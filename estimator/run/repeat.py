"""A priced phase, repeated: more often, on more devices, or hidden behind another one."""

from dataclasses import replace

from estimator.hardware.operating_point import Load
from estimator.run.phase import BOARD, CLOCK, IDLE_MEMORY, LEAKAGE, REGULATORS, Entry, Phase

STANDING = (CLOCK, LEAKAGE, IDLE_MEMORY, BOARD)


def repeated(phase: Phase, times: float, devices: float = 1, exposed: float = 1.0, name: str | None = None) -> Phase:
    """`phase` as `devices` run it at once, each `times` over; of its time, only the share `exposed` is not hidden behind other work.

    Joules and events are those of all devices, seconds and launches those of each. What stands still while time passes (leakage,
    clock tree, board, idle memory) belongs to the work that hides the rest. `basis` stays that of one device.
    """
    entries = tuple(_entry(entry, times, devices, exposed) for entry in phase.entries)
    basis = phase.basis
    if basis is not None:
        loads = tuple(Load(load.launches * times * exposed, load.counts, load.duration) for load in basis.loads)
        basis = replace(basis, loads=loads)
    return replace(phase, name=name or phase.name, steps=phase.steps * times, entries=entries, basis=basis)


def _entry(entry: Entry, times: float, devices: float, exposed: float) -> Entry:
    joules = {key: value * (exposed if key[0] in STANDING else 1.0) for key, value in entry.energy.items()}
    losses = [key for key in joules if key[0] == REGULATORS]
    moved = sum(value for key, value in entry.energy.items() if key[0] not in (REGULATORS, BOARD))
    left = sum(value for key, value in joules.items() if key[0] not in (REGULATORS, BOARD))
    joules |= {key: joules[key] * (left / moved if moved else 1.0) for key in losses}
    everywhere = times * devices
    return replace(
        entry,
        launches=entry.launches * times,
        time=entry.time * times * exposed,
        energy={key: value * everywhere for key, value in joules.items()},
        events={key: value * everywhere * (exposed if key[0] == CLOCK else 1.0) for key, value in entry.events.items()},
        flop=entry.flop * everywhere,
        matmul_flop=entry.matmul_flop * everywhere,
        traffic={level: amount * everywhere for level, amount in entry.traffic.items()},
    )


def seconds(phase: Phase) -> float:
    """Seconds of a phase."""
    return sum(entry.time for entry in phase.entries)


def joules(phase: Phase) -> float:
    """Joules of a phase."""
    return sum(value for entry in phase.entries for value in entry.energy.values())
