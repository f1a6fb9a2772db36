"""Exchanges between the devices of a run, priced as a phase of each device: the seconds it waits and the joules of its bits.

    link = profile.links["nvlink"]
    sums = Exchange(collective("all_reduce", size, ranks=8, link=link, name="nvlink"), launches=2 * layers)
    phase = communicate([sums], profile, stack, steps=steps)

A phase holds the joules of one device; whoever runs n of them multiplies. While a device waits, its clock tree toggles and it
leaks as in any kernel: exchanges of GPUs are kernels. `exposed` says which share of the time no computation hides; the bits cost
the same either way. What is hidden wholly belongs to the phase that hides it: `price_asked(name, [*kernels, exchanged(one, stack)], …)`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from estimator.errors import InvalidSetting
from estimator.hardware.collective import Collective
from estimator.hardware.demand import Demand
from estimator.hardware.schema import Profile
from estimator.run.entry import COMMUNICATION, Asked
from estimator.run.phase import Phase, price_asked
from estimator.run.stack import Stack, terms


@dataclass(frozen=True)
class Exchange:
    """A collective that happens `launches` times in a step; `module` and `layers` say where, for the report."""

    collective: Collective
    launches: float = 1.0
    module: str = ""
    layers: tuple[int, ...] = ()
    exposed: float = 1.0


def exchanged(exchange: Exchange, stack: Stack) -> Asked:
    """What one exchange asks of the device that takes part in it."""
    one = exchange.collective
    demand = Demand(
        link=one.link,
        link_bytes=one.link_bytes,
        link_steps=one.steps,
        l2_bytes=2 * one.link_bytes,  # what is sent is read, what arrives is written
        exposed=exchange.exposed,
        **terms(COMMUNICATION, stack),
    )
    name = f"{one.kind} of {one.ranks} ({one.algorithm}, {one.link})"
    return Asked(name, COMMUNICATION, demand, exchange.launches * max(len(exchange.layers), 1), exchange.module, exchange.layers)


def communicate(exchanges: Sequence[Exchange], profile: Profile, stack: Stack, *, steps: float = 1.0, name: str = COMMUNICATION) -> Phase:
    """The phase in which a device takes part in `exchanges`, one after the other, `steps` times over.

    Exchanges of a single rank are left out. Raises `InvalidSetting` where nothing remains, and where the device lacks a link.
    """
    items = [exchanged(exchange, stack) for exchange in exchanges if exchange.collective.ranks > 1]
    if not items:
        raise InvalidSetting("nothing to exchange: every collective has a single rank; leave the phase out")
    if not any(item.demand.exposed for item in items):
        raise InvalidSetting("all exchanges are hidden (exposed=0): price them with the kernels that hide them, see price_asked()")
    return price_asked(name, items, profile, stack, steps=steps)
