"""`python -m estimator what-if llama-3.1-8b --hw H100`: what each way to save energy would do to one run, and why."""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import isclose
from typing import Any

from tabulate import tabulate

from estimator.api import estimate
from estimator.cli.estimate import PLACES, add_run_options, parallel_of, run_of
from estimator.errors import InvalidSetting
from estimator.hardware.catalogue import load_profile
from estimator.hardware.schema import Profile
from estimator.model.architecture import Architecture, list_models, load_architecture
from estimator.model.transform import prune, quantize
from estimator.model.transform.schemes import scheme
from estimator.report.estimate import Estimate
from estimator.run.formats import multiplies
from estimator.transistor.nodes import list_nodes
from estimator.units import format_change, format_si

WIDTH = 60  # exact: columns in which a reason is wrapped
PRUNED = 0.25  # exact: the share that the examples of pruning take out
SAME = 1e-3  # exact: clocks that a reader cannot tell apart
SCHEMES = ("fp8", "int4")  # one that narrows products where the part can, one that only stores weights in less
Price = Callable[[Architecture, Profile], Estimate]


@dataclass(frozen=True, slots=True)
class Change:
    """One mitigation: J and s of the run under it, and the reason in words."""

    name: str
    energy: float
    time: float
    reason: str


def run(given: list[str]) -> int:
    """Print the table of mitigations for one run."""
    parser = argparse.ArgumentParser(
        prog="python -m estimator what-if",
        description="What each way to save energy would do to one run: operating point, gating, technology, and a lighter model.",
    )
    add_run_options(parser)
    parser.add_argument("--node", default=list_nodes()[-1], help="technology to make the part in (default: %(default)s)")
    options = vars(parser.parse_args(given))
    if options["weights"] is not None:
        raise InvalidSetting(f"--weights {options['weights']}: what-if compares the formats of weights itself; leave it out")
    around = {name: options[name] for name in ("stack", "routing", *PLACES)} | {"parallel": parallel_of(options)}
    model, profile, settings = load_architecture(options["model"]), load_profile(options["hw"]), run_of(options)

    def price(subject: Architecture, part: Profile) -> Estimate:
        return estimate(subject, part, settings, **around)

    usual = price(model, profile)
    rows = list(changes(usual, model, profile, price, node=options["node"]))
    print(f"{usual.model} on {usual.hardware}, stack {usual.stack}: {format_si(usual.energy, 'J')} in {format_si(usual.time, 's')}\n")
    print(_table(usual, rows))
    return 0


def changes(usual: Estimate, model: Architecture, profile: Profile, price: Price, *, node: str) -> Iterator[Change]:
    """Every mitigation that applies to this model on this part, priced by `price`; raises `UnknownName` for an unknown node."""
    yield from _operating_points(usual)
    yield from _hardware(model, profile, price, node)
    yield from _models(usual, model, profile, price)


def _operating_points(usual: Estimate) -> Iterator[Change]:
    least, balanced = (usual.best_operating_point(objective) for objective in ("energy", "energy_delay"))
    same = isclose(least.clock, balanced.clock, rel_tol=SAME)
    found = {"least energy, alone and × delay": least} if same else {"least energy": least, "least energy × delay": balanced}
    for words, best in found.items():
        reason = (
            f"{format_si(best.clock, 'Hz')} at {best.voltage:.3g} V instead of up to {format_si(best.usual.clock, 'Hz')} at "
            f"{best.usual.voltage:.3g} V: switching costs V², and what waits for memory does not wait longer at a lower clock"
        )
        yield Change(f"voltage and clock of {words}", best.energy, best.time, reason)


def _hardware(model: Architecture, profile: Profile, price: Price, node: str) -> Iterator[Change]:
    def priced(name: str, part: Profile, reason: str) -> Change:
        result = price(model, part)
        return Change(name, result.energy, result.time, reason)

    stopped = f"the {profile.clock.gated_share:.0%} of the clock tree that toggle between kernels stop too; nothing while kernels run"
    yield priced("clock gating, all of it", profile.at(clock_gating=1), stopped)
    asleep = "half of the transistors stop leaking, but for what sleep switches pass; only units that the run never uses can sleep"
    yield priced("power gating, half the chip", profile.at(power_gating=1 / 2), asleep)
    moved = profile.on_node(node)
    words = "other capacitances, leakage and supply at the same clock; memory and links have their own supply and stay"
    yield priced(f"made in {moved.process.name}", moved, words)


def _models(usual: Estimate, model: Architecture, profile: Profile, price: Price) -> Iterator[Change]:
    def priced(name: str, subject: Architecture, reason: str) -> Change:
        result = price(subject, profile)
        return Change(name, result.energy, result.time, reason)

    if usual.run["kind"] == "Inference":
        for name in SCHEMES:
            native = multiplies(scheme(name).activation, profile)
            narrow = "less weight traffic, and narrower products: a multiplier shrinks with the square of its significand"
            wide = f"less weight traffic; each weight is widened again to {model.format} for its product, which costs vector work"
            yield priced(f"weights in {name}", quantize(model, name, activations=native), narrow if native else wide)
    same = "nothing: dense hardware reads and multiplies zeros like any number; it saves only what a sparse format and unit skip"
    yield Change("pruning, single weights", usual.energy, usual.time, same)
    for kind in ("layers", "heads"):
        lighter = _pruned(model, kind)
        if lighter is not None:
            yield priced(f"pruning, {PRUNED:.0%} of the {kind}", lighter, f"{kind} that are gone move no bytes and do no work")
    smaller = _smaller_model(model)
    if smaller is not None:
        words = f"{format_si(smaller.parameters)} instead of {format_si(model.parameters)} parameters; what it answers is another matter"
        yield priced(f"smaller model, {smaller.name}", smaller, words)


def _pruned(model: Architecture, kind: str) -> Architecture | None:
    """`model` without a share of its layers or heads; None where that takes no weights out, as where layers do not repeat."""
    try:
        lighter = prune(model, kind, PRUNED)
    except InvalidSetting:
        return None
    return lighter if lighter.parameters < model.parameters else None


def _smaller_model(model: Architecture) -> Architecture | None:
    """The largest bundled model of the same kind with at most half the parameters; one of its own family first."""
    others = (load_architecture(name) for name in list_models())
    fitting = [other for other in others if other.kind == model.kind and other.parameters <= model.parameters / 2]
    return max(fitting, key=lambda other: (_family(other) == _family(model), other.parameters), default=None)


def _family(model: Architecture) -> str:
    return model.name.partition("-")[0]


def _table(usual: Estimate, rows: list[Change]) -> str:
    cells: list[list[Any]] = [["as it is", format_si(usual.energy, "J"), "", format_si(usual.time, "s"), "", ""]]
    cells += [
        [row.name, format_si(row.energy, "J"), format_change(row.energy / usual.energy - 1), format_si(row.time, "s"),
         format_change(row.time / usual.time - 1), row.reason]
        for row in rows
    ]  # fmt: skip
    columns = ["what if", "energy", "change", "time", "change", "why"]
    return tabulate(cells, columns, maxcolwidths=[None, None, None, None, None, WIDTH], disable_numparse=True)
