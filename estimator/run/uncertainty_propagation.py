"""Propagates sourced ranges through the formulas: the same phases priced for many possible chips and stacks at once.

Kernels, their tilings and their demands on the chip are those of the estimate; cycles, seconds, switching events, energies per
event and the operating point are computed anew for every sample.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from operator import add
from typing import Any

import numpy as np

from estimator.errors import EstimatorError
from estimator.hardware.demand import Demand
from estimator.hardware.events import CYCLE, Pricing, each_event, priced
from estimator.hardware.operating_point import Load
from estimator.hardware.power_many import idle_power_many
from estimator.hardware.roofline import PASSAGES, core_cycles, exchange_seconds, fill_cycles, memory_seconds
from estimator.hardware.schema import Profile
from estimator.hardware.settle_many import COLUMNS, LAUNCHES, PointMany, WorkMany, settle_phases
from estimator.quantity import Quantity
from estimator.run.entry import HOST, WAITING
from estimator.run.meter import Meter
from estimator.run.phase import Basis, Phase, origin_of, runs_of
from estimator.run.stack import host_seconds, terms
from estimator.run.uncertainty import FIGURES, STRUCTURAL, Uncertainty, shape_of, structural_path
from estimator.run.uncertainty_meter import Surroundings, at_meter, measured, moved
from estimator.run.uncertainty_responses import Response, of_run, shaped
from estimator.run.uncertainty_samples import Sampled, Sampler
from estimator.run.uncertainty_summary import summary

SAMPLES = 1024  # exact: the number of points; errors of the interval's ends are some hundredths of the spread
Array = np.ndarray


def propagate(
    phases: Sequence[Phase],
    structural: Mapping[str, Quantity],
    samples: int = SAMPLES,
    shares: bool = True,
    meter: Surroundings | None = None,
    unknown: Mapping[str, Response] | None = None,
) -> Uncertainty:
    """The `Uncertainty` of a run's energy, time and power; `structural` as `uncertainty.structural_error` gives it.

    `unknown` are inputs of the run that were assumed, by path: no row tells anything of their ranges, which count in full.
    With a `meter` also that of all figures there, as `facility.…`: the same samples of the devices in samples of what is around them.
    Without `shares`, what the spread is made of is left out, which takes half of the time.

    Raises `EstimatorError` for phases that do not hold what they were priced from, or if no sample can run.
    """
    stages = [(bases_of(run), origin_of(run)) for run in runs_of(phases)]
    known = [of_run(origin) for _, origin in stages]
    quantities = dict(structural)
    for bases, origin in stages:  # of one chip with one stack, so that a path means the same number in each
        quantities |= quantities_of(bases[0]) | (dict(origin.quantities()) if origin else {})
    quantities |= {path: response.quantity for path, response in (unknown or {}).items()}

    def figures(sampler: Sampler, size: int) -> dict[str, Array]:
        each = [shaped(price_many(bases, sampler, size), found, sampler) for (bases, _), found in zip(stages, known)]
        energy, time = (reduce(add, [one[name] for one in each]) for name in ("energy", "time"))
        return {"energy": energy, "time": time, "power": energy / time}

    return _propagate(figures, quantities, structural, samples, shares, meter, unknown)


def bases_of(phases: Sequence[Phase]) -> list[Basis]:
    """What phases were priced from, without those priced together with another. Raises `EstimatorError` where they do not hold it."""
    bases = [phase.basis for phase in phases if phase.basis is not None and phase.basis.stack is not None]
    if len(bases) < len(phases) or not any(basis.loads for basis in bases):
        raise EstimatorError("these phases do not hold what they were priced from, so their interval cannot be computed; estimate again")
    return [basis for basis in bases if basis.loads]


def propagate_idle(
    profile: Profile,
    structural: Mapping[str, Quantity],
    samples: int = SAMPLES,
    shares: bool = True,
    meter: Meter | None = None,
    parts: Sequence[str] = (),
) -> Uncertainty:
    """The `Uncertainty` of the power of a board without work; with a `meter`, of servers full of them, or of some of their parts."""
    quantities = {f"hardware.{path}": one for path, one in profile.quantities().items()} | dict(structural)
    quantities |= meter.quantities() if meter else {}

    def power(sampler: Sampler, size: int) -> dict[str, Array]:
        watts = idle_power_many(Sampled(profile, "hardware", sampler), size)
        if meter:
            read = meter.read_as(meter.devices * watts, 1.0, Sampled(meter.host, "host", sampler), sampler).parts
            watts = sum((read[part] for part in parts or read), np.zeros(size))
        return {"energy": watts, "time": np.ones(size), "power": watts}

    return _propagate(power, quantities, structural, samples, shares)


def _propagate(
    figures: Callable[[Sampler, int], dict[str, Array]],
    quantities: Mapping[str, Quantity],
    structural: Mapping[str, Quantity],
    samples: int,
    shares: bool,
    meter: Surroundings | None = None,
    unknown: Mapping[str, Response] | None = None,
) -> Uncertainty:
    """Figures with every number at its value, to learn which are used, and with those that have a range sampled.

    Dimensions go to numbers by name, those of the meter last: no order of reading, nor any meter, changes what the devices draw.
    """
    outside = meter.quantities() if meter else {}
    everything = dict(outside) | dict(quantities)
    nominal = Sampler(everything, 1)
    at_value = figures(nominal, 1)
    inner = sorted({*nominal.used, *_ranged(structural), *(unknown or {})})
    at_value |= at_meter(meter, at_value, nominal)
    outer = sorted({*nominal.used, *_ranged(outside, STRUCTURAL)} - {*inner})
    own = {name: structural_path(structural, name) for name in FIGURES}
    beyond = meter.structural_paths() if meter else {}
    tails = {path: shape_of(everything, path, "tail") for path in (*own.values(), *beyond.values()) if path}
    drawn = Sampler(everything, samples, (*inner, *outer), tails)
    found = figures(drawn, samples)
    ratios = _ratios(found, at_value, own, drawn)
    read = found if meter and meter.structural else {name: ratio * at_value[name] for name, ratio in ratios.items()}
    ratios |= _ratios(dict(read) | at_meter(meter, read, drawn), at_value, beyond, drawn)
    factors = moved(meter, read, unknown or {}, drawn)
    ratios = {figure: ratio * factors.get(figure, 1.0) for figure, ratio in ratios.items()}
    return summary(ratios, drawn, _foreign(own, beyond, {*outer}, everything) if shares else {})


def _ratios(found: Mapping[str, Array], at_value: Mapping[str, Array], own: Mapping[str, str | None], drawn: Sampler) -> dict[str, Array]:
    """Samples ÷ estimate of each figure, times the structural error at its path, if it has one.

    Of the ranges of what was measured to tell that error, only the part counts that rows leave: at the meter, of the energy at the wall.
    """
    raw = {figure: values / at_value[figure] for figure, values in found.items()}
    ratios = {}
    for figure, path in own.items():
        cut = shape_of(drawn.quantities, path, "ranges") - 1
        ratios[figure] = raw[figure] * measured(raw, figure) ** cut * (drawn[path] if path else 1.0)
    return ratios


def _foreign(
    own: Mapping[str, str | None], beyond: Mapping[str, str | None], outer: set[str], quantities: Mapping[str, Quantity]
) -> dict[str, set[str]]:
    """By figure, what does not act on it: structural errors of others, and what is around the devices on their own figures.

    Figures at the meter without an error of their own are read with those of the devices' energy and time.
    """
    errors = {path for path in quantities if path.startswith(STRUCTURAL)}
    inherited = {own["energy"], own["time"]}
    inside = {figure: errors - {path} | outer for figure, path in own.items()}
    return inside | {figure: errors - ({path} if path else inherited) for figure, path in beyond.items()}


def _ranged(quantities: Mapping[str, Quantity], prefix: str = "") -> list[str]:
    return [path for path, one in quantities.items() if path.startswith(prefix) and one.low < one.high]


def quantities_of(basis: Basis) -> dict[str, Quantity]:
    """Every sourced number by path, as `Estimate.sources` names them."""
    holders = {"hardware": basis.profile, "stack": basis.stack}
    return {f"{owner}.{path}": one for owner, holder in holders.items() if holder for path, one in holder.quantities().items()}


def price_many(bases: Sequence[Basis], sampler: Sampler, size: int) -> dict[str, Array]:
    """Energy in J, time in s and mean power in W of the whole run, for each sample."""
    chip, stack = Sampled(bases[0].profile, "hardware", sampler), Sampled(bases[0].stack, "stack", sampler)
    energy, time = np.zeros(size), np.zeros(size)
    for basis, _, point in _settled([basis for basis in bases if _launched(basis.loads)], chip, stack, size):
        energy, time = energy + basis.devices * point.power * point.seconds, time + point.seconds
    hidden = [replace(basis, loads=basis.hidden) for basis in bases if _launched(basis.hidden)]
    for basis, work, point in _settled(hidden, chip, stack, size):
        fixed, capacitance = work.energy  # only what switches: all else goes on beside
        energy = energy + basis.devices * (fixed + capacitance * point.voltage**2) / chip.power.regulator_efficiency
    return {"energy": energy, "time": time, "power": energy / time}


def _launched(loads: Sequence[Load]) -> bool:
    return any(load.launches for load in loads)


def _settled(bases: Sequence[Basis], chip: Any, stack: Any, size: int) -> Iterator[tuple[Basis, WorkMany, PointMany]]:
    """Each phase with its work and its operating point."""
    energy = priced(chip)
    works = [_work(basis, chip, stack, energy, size) for basis in bases]
    return zip(bases, works, settle_phases(chip, works) if works else ())


def _work(basis: Basis, chip: Any, stack: Any, energy: Pricing, size: int) -> WorkMany:
    """The demands of a phase on sampled chips, under sampled stacks."""
    alike: dict[tuple[str, Demand], float] = {}  # kernels of one kind with one demand are one kernel, launched more often
    for kind, demand, load in zip(basis.kinds, basis.demands, basis.loads):
        alike[kind, demand] = alike.get((kind, demand), 0.0) + load.launches
    names = COLUMNS if chip.power.limiter_response is None else (*COLUMNS, LAUNCHES)
    columns: Any = np.empty((len(names), len(alike), size))
    for index, ((kind, stated), count) in enumerate(alike.items()):
        demand = replace(stated, **_slowed(stated, kind, basis.stack, _terms(kind, stack, basis.sequences)))
        parts = energy((event, number) for _, event, number in each_event(demand, chip))
        gaps = demand.exposed * demand.overhead, demand.exposed * demand.interval
        for column, part in zip(columns, (_cycles(demand, chip), _elsewhere(demand, chip), *gaps, *parts, 1.0)):
            column[index] = count * part
    return WorkMany(**dict(zip(names, columns)), tree=np.broadcast_to(energy(CYCLE)[1], size))


def _terms(kind: str, stack: Any, sequences: float) -> dict[str, Any]:
    if kind == WAITING:
        return {}
    return {"interval": host_seconds(stack, sequences)} if kind == HOST else terms(kind, stack)


def _slowed(stated: Demand, kind: str, stack: Any, found: dict[str, Any]) -> dict[str, Any]:
    """Terms with the share of memory's rate that a run takes off that of the stack, as training does."""
    if "memory_share" not in found:
        return found
    share = stated.memory_share / terms(kind, stack)["memory_share"]
    return found | {name: found[name] * share for name in ("memory_share", "chip_share") if found.get(name) is not None}


def _elsewhere(demand: Demand, chip: Any) -> Array:
    """Seconds of the slower of memory and link, which no core clock shortens."""
    return np.maximum(memory_seconds(demand, chip), exchange_seconds(demand, chip))


def _cycles(demand: Demand, chip: Any) -> Array:
    """Cycles of the busiest on-chip resource: `roofline.duration` for arrays."""
    cycles = core_cycles(demand, chip)
    beside = reduce(np.maximum, [cycles.pop(name, 0.0) for name in PASSAGES])
    busiest = reduce(np.maximum, cycles.values())
    busy = busiest + (1 - demand.overlap) * (sum(cycles.values()) - busiest)
    return demand.exposed * (np.maximum(busy, beside) + fill_cycles(demand, chip))
