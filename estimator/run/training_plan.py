"""A training run worked out: checked against the model and the memory of the devices, priced, and said what was assumed."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from estimator.errors import WARNING, Infeasible, InvalidSetting
from estimator.hardware.cluster import Cluster, cluster_of, load_cluster
from estimator.hardware.schema import Profile
from estimator.model.architecture import Architecture
from estimator.run.context import check_positions
from estimator.run.formats import matrix_unit
from estimator.run.memory import shortfall
from estimator.run.parallel import Parallel
from estimator.run.phase import Phase
from estimator.run.practice import Practice, load_practice
from estimator.run.repeat import seconds
from estimator.run.settings import Training
from estimator.run.site import Site
from estimator.run.stack import Stack, load_stack, multiplied_as
from estimator.run.training_memory import activations, memory_of, needed, splits_tokens, usable
from estimator.run.training_parallel import run_phases
from estimator.run.transformer import Shape, shape_of
from estimator.units import format_si

USEFUL = ("forward", "backward")


def usual_practice(devices: int) -> str:
    """A single device loses nothing unless a practice is named; more run as Megatron does."""
    return "ideal" if devices == 1 else "megatron"


def site_of(
    profile: Profile,
    stack: str | Stack | None = None,
    parallel: Parallel | None = None,
    cluster: str | Cluster | None = None,
    practice: str | Practice | None = None,
) -> Site:
    """Where a run takes place, with the practice that is usual for so many devices unless one is named."""
    parallel = parallel or Parallel()
    if not isinstance(cluster, (str, Cluster, type(None))):
        raise InvalidSetting(f"cluster={cluster!r}: expected a name or a Cluster")
    if not isinstance(practice, (str, Practice, type(None))):
        raise InvalidSetting(f"practice={practice!r}: expected a name or a Practice")
    if practice is None:
        practice = usual_practice(parallel.devices)
    custom = (load_practice(practice) if isinstance(practice, str) else practice).on(profile)
    software = stack if isinstance(stack, Stack) else load_stack(stack or custom.stack)
    if parallel.devices == 1 and cluster is None:
        return Site(profile, software, custom, None, parallel)
    kind = cluster_of(profile) if cluster is None else load_cluster(cluster) if isinstance(cluster, str) else cluster
    return Site(kind.profile(profile), software, custom, kind, parallel)


def train(model: Architecture, run: Training, site: Site) -> tuple[list[Phase], list[str]]:
    """Phases of all devices, and what was taken for granted. Raises `InvalidSetting`, and `Infeasible` for lack of memory."""
    shape = shape_of(model)
    check(shape, run, site)
    memory = memory_of(shape, run, site)
    notes = notes_of(shape, run, site, memory)
    if site.parallel.devices > 1 and sum(memory.values()) > usable(site):
        raise Infeasible(_too_large(shape, run, site, memory))
    if site.parallel.devices == 1:
        notes += shortfall(site.profile, memory)
    return run_phases(shape, run, site), notes


def check(shape: Shape, run: Training, site: Site) -> None:
    """Raises `InvalidSetting` for a layout that does not divide the model or the batch, and for sequences beyond the position limit."""
    parallel, model = site.parallel, shape.model
    check_positions(model, run.length, f"sequence_tokens={run.length}")
    _divides("tensor", parallel.tensor, shape.heads, f"{model.name} has {shape.heads} attention heads")
    if parallel.pipeline > shape.layers:
        raise InvalidSetting(f"pipeline={parallel.pipeline}: {model.name} has {shape.layers} layers; use at most {shape.layers} stages")
    _divides("expert", parallel.expert, shape.experts, f"{model.name} has {shape.experts} experts in a layer")
    _divides("sequence", parallel.sequence, run.length, f"a sequence has {run.length} tokens")
    each = run.batch * parallel.data
    if run.step_samples % each and (run.global_batch is not None or parallel.data > 1):
        nearest = max(run.step_samples // each, 1) * each
        raise InvalidSetting(
            f"global_batch={run.step_samples}: {parallel.data} replicas with micro-batches of {run.batch} take multiples of {each}; "
            f"the nearest is {nearest}"
        )
    if run.sequence_parallel and parallel.tensor == 1:
        raise InvalidSetting(
            "sequence_parallel=True: it shares what tensor parallelism leaves whole, and tensor=1; give Parallel(tensor=…)"
        )
    if run.checkpoint_every and site.cluster is None:
        raise InvalidSetting(
            f"checkpoint_every={run.checkpoint_every}: the disks that checkpoints go to are a node's; name it with cluster=…"
        )
    if run.schedule == "dualpipe" and parallel.pipeline % 2 and parallel.pipeline > 1:
        raise InvalidSetting(
            f"schedule='dualpipe' feeds a pipeline from both ends, in pairs of stages; use pipeline={parallel.pipeline + 1}"
        )
    if run.interleave > 1 and shape.layers < parallel.pipeline * run.interleave:
        raise InvalidSetting(
            f"interleave={run.interleave}: {shape.layers} layers make at most {shape.layers // parallel.pipeline} stretches a stage"
        )


def _divides(name: str, degree: int, of: int, why: str) -> None:
    if of % degree:
        fits = [n for n in range(1, of + 1) if of % n == 0]
        nearest = min(fits, key=lambda n: abs(n - degree))
        raise InvalidSetting(f"{name}={degree}: {why}, which {degree} ranks cannot share; the nearest that fits is {nearest}")


def _too_large(shape: Shape, run: Training, site: Site, memory: dict[str, float]) -> str:
    from estimator.run.layout import nearest_layout

    listed = ", ".join(f"{name} {format_si(size, 'B')}" for name, size in memory.items())
    return (
        f"{site.parallel} does not fit: a device needs {format_si(sum(memory.values()), 'B')} ({listed}) and may fill "
        f"{format_si(usable(site), 'B')} of {site.profile.name}; {nearest_layout(shape, run, site)}"
    )


def notes_of(shape: Shape, run: Training, site: Site, memory: dict[str, float]) -> list[str]:
    """What the run takes for granted."""
    count = run.step_samples / (run.batch * site.parallel.data)
    notes = [
        f"each step: {run.step_samples} samples of {run.length} tokens in {count:g} micro-batches of {run.batch} on each of "
        f"{site.parallel.data} replicas; optimizer {run.optimizer}, recomputation {run.recompute}, sharding {run.sharding}"
        + (f", schedule {run.schedule}" if site.parallel.pipeline > 1 else "")
        + (", sequence parallelism" if site.parallel.tensor > 1 and splits_tokens(run, site) else "")
    ]
    if not shape.model.saved:
        notes.append(f"{WARNING}what {shape.model.name} keeps for backward is not known and not in its memory")
    if run.recompute != "none":
        notes.append(_spared(shape, run, site, memory))
    if site.parallel.devices > 1:
        notes.append(f"layout {site.parallel}; {format_si(sum(memory.values()), 'B')} of each device filled")
        notes.append(f"practice {site.practice.name}: {site.practice.notes}")
        notes.append("exchanges that computation hides have their joules under communication, and their time under what hides them")
    if site.cluster is not None:
        notes.append(f"cluster {site.cluster.name}: {site.cluster.node_devices} devices a node, {site.cluster.network} between nodes")
    return notes


def _spared(shape: Shape, run: Training, site: Site, memory: dict[str, float]) -> str:
    """What recomputation is for."""
    plain = replace(run, recompute="none")
    kept, whole = memory["activations"], activations(shape, plain, site)
    return (
        f"recomputation {run.recompute} keeps activations of {format_si(kept, 'B')} in place of {format_si(whole, 'B')}; "
        f"without it a device would need {needed(shape, plain, site)}"
    )


def useful_flop(phases: Sequence[Phase]) -> float:
    """Matrix FLOP of the model, recomputation left out and masks counted dense."""
    return sum(entry.matmul_flop for phase in phases if phase.name in USEFUL for entry in phase.entries)


def utilization(phases: Sequence[Phase], site: Site, number_format: str) -> float:
    """MFU: useful matrix FLOP over the peak at the highest clock (PaLM, app. B), which is that of the kind of product with most of them."""
    done: Counter[str] = Counter()
    for phase in phases:
        for entry in phase.entries if phase.name in USEFUL else ():
            done[entry.kind] += entry.matmul_flop  # type: ignore[assignment]
    most = max(done, key=lambda kind: done[kind])
    unit, used = matrix_unit(multiplied_as(most, number_format, site.stack), site.profile)
    section = site.profile.tensor if unit == "tensor" else site.profile.vector
    peak = 2 * float(section.fma_per_clock[used]) * site.profile.die.multiprocessors * float(site.profile.clock.boost)  # type: ignore[union-attr]
    return useful_flop(phases) / (sum(map(seconds, phases)) * site.parallel.devices * peak)
