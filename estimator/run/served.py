"""A served model worked out: how many requests are in flight, what they cost, and what their callers notice."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from math import exp, inf
from statistics import fmean

from estimator.errors import InvalidSetting
from estimator.hardware.demand import Demand
from estimator.hardware.schema import Profile
from estimator.model.architecture import Architecture, load_architecture
from estimator.run.context import check_positions
from estimator.run.entry import HOST, WAITING, Asked
from estimator.run.latency import between_tokens, quantile, to_first_token
from estimator.run.memory import largest_batch
from estimator.run.packed import packed
from estimator.run.parallel import Parallel
from estimator.run.phase import Phase, price_asked, repeated
from estimator.run.pictures import picture_notes
from estimator.run.serving import Serving
from estimator.run.serving_step import Steps
from estimator.run.stack import Stack, engine_of
from estimator.run.steady import Steady, total_energy, total_time

IDLE = "idle"
ROUNDING = 2**-20  # exact: moments without requests that are too few to show
ROUNDS = 40  # exact: bisections of the requests in flight
SHARES = (0.5, 0.9, 0.99)  # exact: the percentiles that buyers ask for


@dataclass(frozen=True)
class Served:
    """Phases of all replicas that serve the requests, with figures that no joule tells; `steady` states by share of the time."""

    phases: tuple[Phase, ...]
    service: Mapping[str, float]
    kernels: tuple = field(default_factory=tuple)
    notes: tuple[str, ...] = ()


def serve(model: Architecture, run: Serving, profile: Profile, stack: Stack, parallel: Parallel) -> Served:
    """The phases that serve `run.requests` requests. Raises `InvalidSetting` for more than the memory, or the engine, can take."""
    _check_length(model, run)
    draft = packed(load_architecture(run.draft), None, profile) if run.draft is not None else None
    if draft is not None:
        _check_length(draft, run)
    if not run.cuda_graphs:  # each kernel is launched by the interpreter
        stack = stack.model_copy(update={"launch_interval": engine_of(stack).launch_interval})
    steps = Steps(model, profile, stack, parallel)
    proposing = Steps(draft, profile, stack, parallel) if draft is not None else None
    most = min(largest_batch(model, run, profile, parallel, draft), float(run.max_num_seqs))
    states = list(_states(partial(Steady, steps, run, draft=proposing), run, most))
    busy = [(share, steady) for share, steady in states if steady is not None]
    seconds = _duration(run, busy)
    phases: list[Phase] = []
    devices = parallel.devices * run.replicas
    for share, steady in busy:
        present = 1.0 if run.request_rate is None else 1 - exp(-steady.arrived)
        count = share * seconds * present / steady.step_seconds
        phases += steady.phases(count, devices)
        if present < 1 - ROUNDING:
            phases.append(_idle(profile, stack, share * seconds * (1 - present), devices))
    asleep = sum(share for share, steady in states if steady is None)
    if asleep and not run.scale_to_zero:
        phases.append(_idle(profile, stack, asleep * seconds, devices))
    notes = (*picture_notes(model, run), *_notes(model, run, parallel, most))
    return Served(tuple(phases), _figures(run, busy, phases, seconds, most, devices), notes=notes)


def _states(state: Callable[[float], Steady], run: Serving, most: float) -> Iterator[tuple[float, Steady | None]]:
    """(share of the time, steady state) for each rate of the day; None where no request comes."""
    if run.request_rate is None:
        flight = float(run.concurrency if run.concurrency is not None else min(run.usual_concurrency, most))
        if flight > most:
            raise InvalidSetting(
                f"concurrency={flight:g}: the key-value cache of {run.prompts.mean:g} + {run.outputs.mean:g} tokens a request has room for "
                f"{most:.0f} at most; ask for that, or spread the model over more devices"
            )
        yield 1.0, state(flight)
        return
    for hour in run.hourly:
        rate = run.request_rate * hour / run.replicas
        yield 1 / len(run.hourly), (_at_rate(state, run, rate, most) if rate else None)


def _at_rate(state: Callable[[float], Steady], run: Serving, rate: float, most: float) -> Steady:
    """The steady state in which requests leave as fast as they come: in flight = rate × time of a request (Little, 1961)."""

    def excess(arrived: float) -> float:
        return _with(state, arrived).served - rate

    if excess(most) < 0:
        fastest = _with(state, most).served * run.replicas
        raise InvalidSetting(
            f"request_rate={run.request_rate:g} per second: {run.replicas} replicas with {most:.0f} requests in flight each "
            f"serve {fastest:.4g} at most; add replicas or devices, or raise max_num_seqs"
        )
    low, high = 0.0, most
    for _ in range(ROUNDS):
        middle = (low + high) / 2
        low, high = (low, middle) if excess(middle) > 0 else (middle, high)
        if high - low <= high / 2**10:  # exact: a thousandth of a request is close enough
            break
    return _with(state, high)


def _with(state: Callable[[float], Steady], arrived: float) -> Steady:
    """A steady state with `arrived` requests in flight on the mean, empty moments included; while there are any, there are more."""
    steady = state(max(arrived / (1 - exp(-arrived)), 1.0) if arrived else 1.0)
    steady.arrived = arrived
    return steady


def _duration(run: Serving, busy: list[tuple[float, Steady]]) -> float:
    """Seconds in which the requests are served."""
    if run.request_rate is None:
        return run.requests / (busy[0][1].served * run.replicas)
    mean = run.request_rate * fmean(run.hourly)
    if not mean:
        raise InvalidSetting(f"hourly={tuple(run.hourly)!r}: no request ever comes; give at least one hour a share above zero")
    return run.requests / mean


def _idle(profile: Profile, stack: Stack, seconds: float, devices: int) -> Phase:
    """Devices that wait for requests with the model in memory."""
    waiting = Asked("waiting for requests", WAITING, Demand(interval=1.0))
    return repeated(price_asked(IDLE, [waiting], profile, stack), seconds, devices)


def _figures(run: Serving, busy: list, phases: list[Phase], seconds: float, most: float, devices: int) -> dict[str, float]:
    """What buyers ask: throughput, latencies, and joules by what they are paid for."""
    energy = total_energy(phases)
    prompts = total_energy([phase for phase in phases if phase.name == "prefill"])
    outputs = run.requests * run.outputs.mean
    flights = sum(share * (steady.arrived or steady.flight) for share, steady in busy)
    gaps = [(share * weight, seconds) for share, steady in busy for weight, seconds in between_tokens(steady)]
    firsts = [(share * weight, seconds) for share, steady in busy for weight, seconds in to_first_token(steady)]
    figures = {
        "requests_per_second": run.requests / seconds,
        "output_tokens_per_second": outputs / seconds,
        "in_flight": flights,
        "largest_batch": most,
        "energy_per_request": energy / run.requests,
        "energy_per_1000_requests": energy / run.requests * 10**3,
        "energy_per_output_token": (energy - prompts) / outputs,
        "energy_per_prompt_token": prompts / (run.requests * run.prompts.mean),
        "power": energy / seconds,
        "busy_share": sum(total_time([phase]) for phase in phases if phase.name not in (IDLE, HOST)) / seconds,
        "devices": float(devices),
    }
    for name, spread in (("time_to_first_token", firsts), ("inter_token_latency", gaps)):
        figures[f"{name}_mean"] = sum(w * t for w, t in spread) / sum(w for w, _ in spread)
        figures |= {f"{name}_p{round(share * 10**2)}": quantile(spread, share) for share in SHARES}
    return figures


def _check_length(model: Architecture, run: Serving) -> None:
    if model.kind != "causal-lm":
        raise InvalidSetting(
            f"{model.name} is of the kind {model.kind!r}: Serving is for language models that decode; use Inference for others"
        )
    tokens = run.prompts.mean + run.outputs.mean
    check_positions(model, tokens, f"requests of {run.prompts.mean:g} prompt and {run.outputs.mean:g} output tokens")


def _notes(model: Architecture, run: Serving, parallel: Parallel, most: float) -> tuple[str, ...]:
    notes = [
        "continuous batching in its steady state: arrivals are Poisson, lengths log-normal where only mean and spread are known",
        "prompts and decoding share steps: the power cap holds for a step, so the part of one of them may draw more",
        f"the key-value cache has room for {most:.0f} requests of mean length on each replica"
        if most < inf
        else "the key-value cache sets no limit",
    ]
    if parallel.devices > 1:
        notes.append(f"each replica runs on {parallel.devices} devices ({parallel}); switches between them are not included")
    if not run.prompts.spread and not run.outputs.spread:
        notes.append("all requests are equally long; give lists or quantiles for what else they are")
    if run.cached_share:
        notes.append(f"{run.cached_share:.0%} of the prompt tokens are found in the prefix cache")
    return tuple(notes)
