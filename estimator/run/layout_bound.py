"""A time that no layout undercuts, from closed forms: products at full rate, pipeline bubble, exchanges that nothing hides, losses.

It costs a hundredth of pricing the layout. A search that prices layouts by rising bound may stop at the first bound above what it found
(branch and bound: Land and Doig, Econometrica 28, 1960), and misses nothing.
"""

from math import ceil

from estimator.hardware.demand import Demand
from estimator.hardware.roofline import duration
from estimator.run.entry import Asked
from estimator.run.known import Known
from estimator.run.microbatch import Piece, demands_of
from estimator.run.repeat import seconds
from estimator.run.settings import Training
from estimator.run.training_exchanges import traffics
from estimator.run.training_parallel import Site, exposed, lost, optimizer, slowest
from estimator.run.transformer import Shape


def least_seconds(shape: Shape, run: Training, site: Site, known: Known) -> float:
    """Seconds for each step of `run` that its layout takes at the least, its share of evaluations and losses included."""
    parallel = site.parallel
    count = run.step_samples / (run.batch * parallel.data)
    stages = ceil(shape.layers / parallel.pipeline) / shape.layers
    samples = count * run.batch * stages / (parallel.tensor * parallel.sequence)
    busy = {name: samples * one for name, one in _products(shape, run, site, known).items()}
    bubble = (parallel.pipeline - 1) / (count * run.interleave) * sum(busy.values())
    step = sum(busy.values()) + seconds(optimizer(shape, run, site, known)) + _exchanges(shape, run, site, count, busy)
    step += bubble + slowest(site, step + bubble)
    again, waiting = lost(site.practice, parallel.devices)
    return run.runs * step * (1 + float(site.practice.evaluation_share)) * (1 + again) * (1 + waiting)


def _products(shape: Shape, run: Training, site: Site, known: Known) -> dict[str, float]:
    """Seconds of one sample's matrix products by phase, their tiles full, at the highest clock."""
    piece = Piece(1, run.length)

    def of(items: list[Asked]) -> float:
        return sum(item.launches * _product(item.demand, site) for item in items)

    return known.of(
        ("products", run.recompute),
        lambda: {name: of(items()) for name, items in demands_of(shape, run, piece, site.profile, site.stack, site.practice, known)},
    )


def _product(demand: Demand, site: Site) -> float:
    slots = demand.macs / float(site.practice.kernel_share)
    alone = Demand(macs=demand.macs, mac_slots=slots, mac_format=demand.mac_format, unit=demand.unit)
    return duration(alone, site.profile).cycles / float(site.profile.clock.boost)


def _exchanges(shape: Shape, run: Training, site: Site, count: float, busy: dict[str, float]) -> float:
    if site.parallel.devices == 1 or site.cluster is None:
        return 0.0
    every = list(traffics(shape, run, site.parallel, site.cluster, site.profile, site.practice, count))
    shares = exposed(every, run, site, count, busy)
    return sum(shares[traffic.hides] * traffic.seconds for traffic in every)
