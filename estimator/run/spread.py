"""Inference spread over devices: one batch, cut by heads and columns, by layers, or by sequences."""

from collections.abc import Iterator

from estimator.errors import InvalidSetting
from estimator.hardware.schema import Profile
from estimator.model.architecture import Architecture
from estimator.model.work import Kernel
from estimator.run.collective import exchanged
from estimator.run.entry import COMMUNICATION, Asked
from estimator.run.group import Group
from estimator.run.inference import inference_passes
from estimator.run.memory import cache_bytes, shortfall, weight_bytes
from estimator.run.parallel import Parallel
from estimator.run.phase import Phase, asked, host_gaps, price_together, repeated
from estimator.run.pictures import looking, width_of
from estimator.run.settings import Inference
from estimator.run.shard import check_degree, shard
from estimator.run.stack import Stack


def spread_inference(
    model: Architecture, run: Inference, profile: Profile, stack: Stack, parallel: Parallel
) -> tuple[list[Phase], list[str]]:
    """The phases of all devices, and warnings. With pipeline stages as many parts of the batch follow each other, so all are busy.

    Raises `InvalidSetting` for a degree that does not divide heads or batch, and for tokens of one sequence cut over devices.
    """
    parts = parallel.data * parallel.pipeline
    if run.batch % parts:
        raise InvalidSetting(
            f"batch={run.batch}: {parallel.data} replicas × {parallel.pipeline} stages need a multiple of {parts} sequences"
        )
    if parallel.sequence > 1:
        raise InvalidSetting(f"sequence={parallel.sequence}: inference does not cut the tokens of one sequence; use tensor=…")
    group, phases, steps = Group(profile, parallel), list[Phase](), 0.0
    if run.images:
        phases += _look(model, run, group, stack, parallel)
    for name, kernels, count, rows, last in inference_passes(model, run, stack, run.batch // parts):
        check_degree(model.name, kernels, parallel.tensor)
        groups: dict[str, list[Asked]] = {name: list(_own(kernels, profile, stack, parallel))}
        found = [exchanged(one, stack) for one in group.exchanges(kernels, rows, last)]
        phases += price_together(groups | ({COMMUNICATION: found} if found else {}), profile, stack, steps=count)
        steps += count
    phases.append(host_gaps(profile, stack, steps=steps, sequences=run.batch / parts))
    tokens = run.prompt_tokens + run.output_tokens
    held = {"weights": weight_bytes(model, parallel), "KV cache": run.batch / parallel.data * cache_bytes(model, tokens, parallel)}
    notes = [f"spread over {parallel.devices} devices ({parallel}); switches between them are not included", *shortfall(profile, held)]
    return [repeated(phase, 1.0, parallel.devices) for phase in phases], notes


def _look(model: Architecture, run: Inference, group: Group, stack: Stack, parallel: Parallel) -> list[Phase]:
    """Looking at the pictures, the tower cut like the model's layers; with pipeline stages each looks at as many."""
    requests = run.batch / (parallel.data * parallel.pipeline)
    whole, own = (looking(model, run, stack.fusion, requests, ranks) for ranks in (1, parallel.tensor))
    groups = {"prefill": [asked(kernel, group.profile, stack) for kernel in own]}
    found = [exchanged(one, stack) for one in group.exchanges_looking(whole, width_of(whole))]
    return price_together(groups | ({COMMUNICATION: found} if found else {}), group.profile, stack, steps=float(run.requests))


def _own(kernels: tuple[Kernel, ...], profile: Profile, stack: Stack, parallel: Parallel) -> Iterator[Asked]:
    return (asked(kernel, profile, stack) for kernel in shard(kernels, parallel.tensor, parallel.expert))
