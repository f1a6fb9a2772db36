"""A priced phase behind another one that hides part of its time; and what a phase takes."""

from collections import Counter
from dataclasses import replace

from estimator.run.entry import BOARD, CLOCK, IDLE_MEMORY, LEAKAGE, REGULATORS, Entry
from estimator.run.phase import Phase

STANDING = (CLOCK, LEAKAGE, IDLE_MEMORY, BOARD)


def behind(phase: Phase, exposed: float) -> Phase:
    """`phase` of which only the share `exposed` of the time is not hidden behind other work.

    What stands still while time passes (leakage, clock tree, board, idle memory) belongs to the work that hides the rest; what is
    moved and switched is the same.
    """
    entries = tuple(_behind(entry, exposed) for entry in phase.entries)
    basis = phase.basis
    if basis is not None:
        open_, hidden = (tuple(replace(load, launches=load.launches * part) for load in basis.loads) for part in (exposed, 1 - exposed))
        basis = replace(basis, loads=open_, hidden=(*basis.hidden, *hidden))
    return replace(phase, entries=entries, basis=basis)


def least_exposed(phase: Phase, limit: float) -> float:
    """Share of a phase that shows in time even behind work that takes all of `limit`, in W: what it moves and switches has to fit in too.

    Behind other work it dissipates h, alone a; in time e t with e a + (1 - e) h joules, the mean is at the limit for
    e = h / (limit t - (a - h)).
    """
    alone, hidden = joules(phase), joules(behind(phase, 0.0))
    room = limit * seconds(phase) - (alone - hidden)
    return min(hidden / room, 1.0) if room > 0 else 1.0


def _behind(entry: Entry, exposed: float) -> Entry:
    joules = {key: value * (exposed if key[0] in STANDING else 1.0) for key, value in entry.energy.items()}
    before, after = _through_regulators(entry.energy), _through_regulators(joules)
    joules |= {key: value * after / before for key, value in joules.items() if key[0] == REGULATORS and before}
    events = {key: value * (exposed if key[0] == CLOCK else 1.0) for key, value in entry.events.items()}
    return replace(entry, time=entry.time * exposed, energy=joules, events=events)


def _through_regulators(joules: dict[tuple[str, str], float]) -> float:
    return sum(value for key, value in joules.items() if key[0] not in (REGULATORS, BOARD))


def condensed(phase: Phase) -> Phase:
    """The phase with one entry for all of its own: the same seconds and joules by event, for sums that need no more."""
    joules: Counter[tuple[str, str]] = Counter()
    for entry in phase.entries:
        joules.update(entry.energy)
    first = phase.entries[0]
    whole = replace(first, time=seconds(phase), energy=dict(joules), events={}, traffic={}, flop=0.0, matmul_flop=0.0, layers=())
    return replace(phase, entries=(whole,), basis=None)


def seconds(phase: Phase) -> float:
    """Seconds of a phase."""
    return sum(entry.time for entry in phase.entries)


def joules(phase: Phase) -> float:
    """Joules of a phase."""
    return sum(value for entry in phase.entries for value in entry.energy.values())
