"""The energy of an estimate as algebra: E(V, f, T) of each phase, made by passing symbols through the formulas that gave the floats.

Voltage, clock and temperature of a phase are symbols that do not know of each other, so one may be varied alone; the chip ties
them together (the clock needs a voltage, the power makes the temperature), and `Formula.point` says where it settled. Times
hold the roofline: a maximum over resources, simplified where one of them wins at every clock of the chip.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import sympy

from estimator.errors import EstimatorError, unknown_name
from estimator.hardware.operating_point import OperatingPoint
from estimator.hardware.roofline import Duration
from estimator.hardware.schema import Profile
from estimator.run.entry import CLOCK, joules_of, prices_at
from estimator.run.phase import Basis, Phase
from estimator.transistor.constants import E

if TYPE_CHECKING:
    from estimator.report.estimate import Estimate

SHOWN = 4  # exact: digits of the coefficients in the text


@dataclass(frozen=True)
class Formula:
    """`terms` gives each phase's energy in J in its V, f, T and seconds t (running: r); `times` the seconds as functions of f.

    `point` gives V, f and T their values where the chip settles.
    """

    terms: Mapping[str, Any]
    times: Mapping[Any, Any]
    point: Mapping[Any, float]

    @cached_property
    def expression(self) -> Any:
        """The whole energy in J, E(V, f, T) of all phases, as one SymPy expression."""
        return sympy.Add(*self.terms.values()).xreplace(dict(self.times))

    @property
    def energy(self) -> float:
        """The expression at its point, in J: the energy of the estimate."""
        return self.at()

    def at(self, **values: float) -> float:
        """Energy in J with symbols changed by name, the others at their point: `formula.at(V_decode1=0.8)`. Raises `UnknownName`."""
        named = {symbol.name: symbol for symbol in self.point}
        for name in values:
            if name not in named:
                raise unknown_name("symbol", name, named, "`formula().point` holds all of them.")
        given = {**self.point, **{named[name]: value for name, value in values.items()}}
        known = {symbol: sympy.Float(value) for symbol, value in given.items()}
        known |= {symbol: seconds.xreplace(known) for symbol, seconds in self.times.items()}
        return float(sum(term.xreplace(known) for term in self.terms.values()))

    def __str__(self) -> str:
        lines = [f"E = {' + '.join(f'E_{name}' for name in self.terms)}"]
        lines += [f"E_{name} = {term.n(SHOWN)}" for name, term in self.terms.items()]
        return "\n".join([*lines, *(f"{symbol} = {seconds.n(SHOWN)}" for symbol, seconds in self.times.items())])

    def _repr_latex_(self) -> str:
        lines = [rf"E_{{{name}}} &= {sympy.latex(term.n(SHOWN))}" for name, term in self.terms.items()]
        return "$\\displaystyle \\begin{aligned}" + " \\\\ ".join(lines) + "\\end{aligned}$"


def formula(estimate: "Estimate") -> Formula:
    """See `Estimate.formula`."""
    groups = _groups(estimate.phases)
    if not groups:
        raise EstimatorError("this estimate does not hold what it was priced from, as one read from JSON; estimate again for its formula")
    terms: dict[str, Any] = {}
    times: dict[Any, Any] = {}
    point: dict[Any, float] = {}
    for group, name in zip(groups, _names([group[0] for group in groups])):
        phase, basis = group[0], group[0].basis
        assert basis is not None
        voltage, clock, temperature, seconds, running = (sympy.Symbol(f"{letter}_{name}", positive=True) for letter in "VfTtr")
        point |= {voltage: phase.point.voltage, clock: phase.point.clock, temperature: phase.point.temperature}
        times |= dict(zip((running, seconds), _times(basis, clock, phase.point)))
        terms[name] = _energy(group, basis, running, seconds, OperatingPoint(clock, voltage, temperature, 0.0))
    return Formula(terms, times, point)


def _names(phases: Sequence[Phase]) -> list[str]:
    """The phase's name, with its number where there are several of that name."""
    all_names = [phase.name for phase in phases]
    return [name if all_names.count(name) == 1 else f"{name}{all_names[: i + 1].count(name)}" for i, name in enumerate(all_names)]


def _groups(phases: Sequence[Phase]) -> list[list[Phase]]:
    """Phases with those that were priced together with them; none where one does not hold what it was priced from."""
    groups: list[list[Phase]] = []
    for phase in phases:
        if phase.basis is None or not (phase.basis.loads or groups):
            return []
        if phase.basis.loads:
            groups.append([])
        groups[-1].append(phase)
    return groups


def _energy(group: Sequence[Phase], basis: Basis, running: Any, seconds: Any, point: OperatingPoint) -> Any:
    """J of a group. Its events are those of its records, since work hidden behind other work switches all of them in less time."""
    counts: defaultdict[tuple[str, str], float] = defaultdict(float)
    for entry in (entry for phase in group for entry in phase.entries):
        for key, count in entry.events.items():
            if key[0] != CLOCK:
                counts[key] += count / basis.devices
    prices = prices_at(basis.profile, point)
    energy, _ = joules_of(counts, running, seconds, basis.profile, point, prices)
    return (basis.devices * sympy.expand(sum(energy.values()), deep=False)).subs(E, sympy.E)


def _times(basis: Basis, clock: Any, point: OperatingPoint) -> tuple[Any, Any]:
    """Seconds in which the multiprocessors run, and of the whole phase, as expressions in the clock."""
    alike: defaultdict[Duration, float] = defaultdict(float)
    for load in basis.loads:
        alike[load.duration] += load.launches
    running: Any = sympy.Integer(0)
    seconds: Any = sympy.Integer(0)
    for duration, launches in alike.items():
        ran = _longest(duration.cycles, max(duration.memory_seconds, duration.link_seconds), clock, basis.profile) + duration.overhead
        running += launches * ran
        fastest, slowest = (duration.running(float(end)) for end in (basis.profile.clock.boost, basis.profile.clock.minimum))
        if fastest >= duration.interval:
            seconds += launches * ran
        else:
            seconds += launches * (duration.interval if slowest <= duration.interval else sympy.Max(ran, duration.interval, evaluate=False))
    return sympy.sympify(running * point.stretch), sympy.sympify(seconds * point.stretch)


def _longest(cycles: float, elsewhere: float, clock: Any, profile: Profile) -> Any:
    """Time of the core or of memory and link, without the maximum where one of them is longer at every clock of the chip."""
    if cycles / profile.clock.minimum <= elsewhere:
        return elsewhere
    return cycles / clock if cycles / profile.clock.boost >= elsewhere else sympy.Max(cycles / clock, elsewhere, evaluate=False)
