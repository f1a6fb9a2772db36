"""A training run on many devices, as the phases of all of them: what each computes, exchanges, waits for and loses.

Every device does the same, so one is priced and the joules multiplied; one micro-batch is priced and repeated. The cost of the
estimate depends on neither count.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from math import ceil, e, inf, log

from estimator.errors import Infeasible
from estimator.hardware.cluster import Cluster
from estimator.hardware.demand import Demand
from estimator.hardware.schema import Profile
from estimator.quantity import Quantity
from estimator.run.adapters import trained_parameters
from estimator.run.collective import Exchange, communicate
from estimator.run.entry import Asked
from estimator.run.known import Known
from estimator.run.microbatch import Piece, microbatch
from estimator.run.parallel import Parallel
from estimator.run.phase import Phase, host_gaps, price, price_asked, repeated
from estimator.run.practice import Practice
from estimator.run.repeat import behind, least_exposed, seconds
from estimator.run.settings import Training
from estimator.run.stack import IDLE, Stack
from estimator.run.training_exchanges import Traffic, traffics
from estimator.run.transformer import Shape, optimizer_of, state_of

WAITING, INPUT, CHECKPOINT, EVALUATION, RESTART = "idle", "input", "checkpoint", "evaluation", "restart"
LEAST_PROGRESS = 1 / 100  # exact: share of the time below which a run is said to make no progress


@dataclass(frozen=True)
class Site:
    """Where and how a run takes place."""

    profile: Profile
    stack: Stack
    practice: Practice
    cluster: Cluster | None
    parallel: Parallel

    def replaced(self, path: str, value: float) -> "Site":
        """The site with another number at `path`, such as "practice.restart"; the network is wired anew."""
        owner, _, name = path.partition(".")
        holder = getattr(self, owner)
        other = holder.model_copy(update={name: Quantity(value, getattr(holder, name).unit)})
        site = replace(self, **{owner: other})
        return replace(site, profile=site.cluster.profile(site.profile)) if site.cluster and owner == "cluster" else site


def step_phases(shape: Shape, run: Training, site: Site, known: Known | None = None) -> list[Phase]:
    """Phases of one optimizer step on one device; `known` keeps what was priced before."""
    parallel, profile = site.parallel, site.profile
    count = run.step_samples / (run.batch * parallel.data)
    piece = Piece(run.batch, run.length, parallel.tensor * parallel.sequence, parallel.expert)
    known = known or Known()
    one = microbatch(shape, run, piece, profile, site.stack, site.practice, known)
    stages = ceil(shape.layers / parallel.pipeline) / shape.layers  # the fullest stage sets the pace
    phases = [repeated(phase, count * stages) for phase in one.values()]
    busy = {phase.name: seconds(phase) for phase in phases}
    phases.append(optimizer(shape, run, site, known))
    full = any(phase.point.capped for phase in one.values())
    phases += _exchanges(shape, run, site, count, busy, full)
    bubble = (parallel.pipeline - 1) / (count * run.interleave) * sum(busy.values())
    return [*phases, *_waits(run, site, bubble, sum(map(seconds, phases)))]


def optimizer(shape: Shape, run: Training, site: Site, known: Known) -> Phase:
    """Each device updates its own share of what is trained."""
    parallel = site.parallel
    ranks = parallel.tensor * parallel.pipeline * (parallel.data if run.sharding != "none" else 1)

    def whole() -> Phase:
        return price("optimizer", optimizer_of(shape.model, run, trained_parameters(shape.model, run)), site.profile, site.stack)

    phase = known.phase("optimizer", whole)
    return phase if ranks == 1 else repeated(phase, 1 / ranks)


def _exchanges(shape: Shape, run: Training, site: Site, count: float, busy: dict[str, float], full: bool) -> list[Phase]:
    """Exchanges, as far as the work in `busy` does not hide them; where that is at the power cap, their joules take time from it."""
    if site.parallel.devices == 1 or site.cluster is None:
        return []
    every = list(traffics(shape, run, site.parallel, site.cluster, site.profile, site.practice, count))
    shares = exposed(every, run, site, count, busy)
    phases = []
    for traffic in every:
        items = [Exchange(part, module=traffic.what) for part in traffic.parts if part.ranks > 1 and part.link_bytes]
        if items and traffic.occasions:
            phase = communicate(items, site.profile, site.stack)
            least = least_exposed(phase, float(site.profile.power.limit)) if full else 0.0
            phases.append(repeated(behind(phase, max(shares[traffic.hides], least)), traffic.occasions))
    return phases


def exposed(every: Iterable[Traffic], run: Training, site: Site, count: float, busy: dict[str, float]) -> dict[str, float]:
    """Share of each kind of exchange that nothing hides: what hides behind products inside layers, and behind backward passes."""
    practice = site.practice
    rounds = 1 if run.sharding == "zero3" else count
    window = (busy.get("backward", 0.0) + (busy.get("forward", 0.0) if run.sharding != "none" else 0.0)) / rounds
    total = sum(traffic.seconds for traffic in every if traffic.hides == "data")
    hidden = min(total, float(practice.overlap_data) * window)
    return {"": 1.0, "tensor": 1 - float(practice.overlap_tensor), "data": 1 - hidden / total if total else 1.0}


def _waits(run: Training, site: Site, bubble: float, step: float) -> list[Phase]:
    """Pipeline bubble (Narayanan et al., arXiv:2104.04473), the slowest of n devices, data that comes too late, and the host."""
    devices = site.parallel.devices
    samples = run.step_samples / devices
    late = max(run.input_seconds * samples / run.workers - step - bubble, 0.0)
    waits = [
        ("pipeline bubble", WAITING, bubble),
        ("slowest device", WAITING, slowest(site, step + bubble)),
        ("waiting for data", INPUT, late),
    ]
    phases = [_wait(what, name, time, site) for what, name, time in waits if time]
    return [*phases, host_gaps(site.profile, site.stack, steps=1)]


def slowest(site: Site, step: float) -> float:
    """Seconds by which the slowest of n devices is late in a step of `step` seconds.

    The largest of n normal values lies about √(2 ln n) standard deviations above their mean (Gumbel, 1958).
    """
    return float(site.practice.straggler_spread) * (2 * log(site.parallel.devices)) ** 0.5 * step


def _wait(what: str, name: str, time: float, site: Site) -> Phase:
    """A device that waits for others spins in a kernel of the exchange library, so its clocks toggle."""
    spinning = Demand(overhead=time) if name == WAITING else Demand(interval=time)
    return price_asked(name, [Asked(what, IDLE, spinning)], site.profile, site.stack)


def run_phases(shape: Shape, run: Training, site: Site, known: Known | None = None) -> list[Phase]:
    """Phases of the whole run on all devices: steps, evaluations, checkpoints, failures and what they lose."""
    steps, devices = run.total_steps * run.runs, site.parallel.devices
    phases = step_phases(shape, run, site, known)
    step = sum(map(seconds, phases))
    forward = next(phase for phase in phases if phase.name == "forward")
    evaluated = float(site.practice.evaluation_share) * step / seconds(forward)
    if run.evaluation_every:
        evaluated += run.evaluation_samples / run.evaluation_every / run.step_samples
    if evaluated:
        phases.append(replace(repeated(forward, evaluated), name=EVALUATION))
    phases += _checkpoints(shape, run, site)
    step = sum(map(seconds, phases))
    again, waiting = lost(site.practice, devices)
    merged = [repeated(phase, steps * (1 + again), devices) for phase in phases]
    if waiting:
        merged.append(repeated(_wait("restarting", RESTART, waiting * step, site), steps * (1 + again), devices))
    first, *others = merged
    basis = replace(first.basis, origin=Trained(shape, run, site)) if first.basis is not None else None
    return [replace(first, basis=basis), *others]


@dataclass(frozen=True)
class Trained:
    """A training run that can be worked out again with another number of its practice or cluster, in the same layout."""

    shape: Shape
    run: Training
    site: Site
    known: Known = field(default_factory=Known, repr=False, compare=False)

    def quantities(self) -> dict[str, Quantity]:
        """Numbers of practice and cluster by path."""
        holders = {"practice": self.site.practice, "cluster": self.site.cluster}
        return {f"{owner}.{path}": one for owner, holder in holders.items() if holder for path, one in holder.quantities().items()}

    def phases_with(self, path: str | None, value: float) -> list[Phase]:
        """The phases if the number at `path` were `value`. Raises `Infeasible` where such a run makes no progress."""
        return run_phases(self.shape, self.run, self.site.replaced(path, value) if path else self.site, self.known)


def lost(practice: Practice, devices: int) -> tuple[float, float]:
    """On `devices`, seconds of writing checkpoints and of work done twice for each second of progress; and of restarts for each of both.

    Failures come at random, every M on average; checkpoints that stop the run for δ are written after τ of progress; a restart takes R
    and may fail itself. All takes M e^(R/M) (e^((τ+δ)/M) - 1) / τ for each second of progress (Daly, Future Generation Computer Systems
    22, 2006), hardly more than at the best τ with τ + δ = √(2 δ M) (Young, CACM 17, 1974), or τ = M where failures are as frequent as
    checkpoints. Raises `Infeasible` where hardly any progress is left.
    """
    between, saving = float(practice.failure_interval) / devices, float(practice.checkpoint_seconds)
    if between == inf:
        return 0.0, 0.0
    every = (2 * saving * between) ** (1 / 2) - saving if 2 * saving < between else between
    exponents = (every + saving) / between, float(practice.restart) / between
    if max(exponents) < -log(LEAST_PROGRESS):
        again, restarting = between * (e ** exponents[0] - 1) / every - 1 if saving else 0.0, e ** exponents[1] - 1
        if (1 + again) * (1 + restarting) * LEAST_PROGRESS < 1:
            return again, restarting
    raise Infeasible(
        f"{devices} devices fail every {between:.0f} s, faster than practice {practice.name!r} restarts, so the run makes no progress; "
        f"use fewer devices, or another practice"
    )


def _checkpoints(shape: Shape, run: Training, site: Site) -> list[Phase]:
    """Weights and optimizer state written by all nodes at once to their disks; the step waits for the copy."""
    if not run.checkpoint_every or site.cluster is None:
        return []
    size = shape.model.parameter_bytes + state_of(optimizer_of(shape.model, run))
    server = site.cluster.server
    rate = sum(float(drive.count * drive.write_bandwidth) for drive in server.drives) * ceil(
        site.parallel.devices / site.cluster.node_devices
    )
    return [_wait("writing a checkpoint", CHECKPOINT, size / rate / run.checkpoint_every if rate else inf, site)]
