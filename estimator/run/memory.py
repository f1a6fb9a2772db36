"""Does it fit? What a run must keep in device memory, and a plain warning where that is more than there is."""

from estimator.errors import WARNING, InvalidSetting
from estimator.hardware.schema import Profile
from estimator.model.architecture import Architecture
from estimator.run.parallel import Parallel
from estimator.run.roles import heads_of
from estimator.run.serving import Serving
from estimator.units import format_si


def shortfall(profile: Profile, parts: dict[str, float]) -> list[str]:
    """A warning with the shortfall if the `parts` (name → bytes) exceed the memory of the device; empty if they fit."""
    needed = sum(parts.values())
    missing = needed - profile.memory.capacity
    if missing <= 0:
        return []
    listed = ", ".join(f"{name} {format_si(size, 'B')}" for name, size in parts.items() if size)
    return [
        f"{WARNING}does not fit: needs {format_si(needed, 'B')} ({listed}) and {profile.name} has "
        f"{format_si(float(profile.memory.capacity), 'B')}, {format_si(missing, 'B')} too little; "
        "the figures are for a device with enough memory"
    ]


def weight_bytes(model: Architecture, parallel: Parallel) -> float:
    """Bytes of weights on each device; ranks that replicate the attention spread the experts only."""
    whole = parallel.tensor * parallel.pipeline
    spread = parallel.data if parallel.expert > parallel.tensor else 1
    if spread == 1:
        return model.parameter_bytes / whole
    experts = model.parameters - model.active_parameters  # nearly all that a token does not meet are experts
    share = experts / model.parameters
    return model.parameter_bytes / whole * (1 - share + share / spread)


def cache_bytes(model: Architecture, tokens: float, parallel: Parallel) -> float:
    """Bytes in the caches of one sequence of `tokens` tokens on each of the devices that hold it; few key heads are repeated."""
    heads = heads_of(model.programs["decode"].kernels["eager"])
    ranks = min(parallel.tensor, heads.key) if heads else parallel.tensor
    return float(model.kv_bytes(tokens)) / ranks / parallel.pipeline


def largest_batch(model: Architecture, run: Serving, profile: Profile, parallel: Parallel, draft: Architecture | None = None) -> float:
    """Requests of mean length whose caches fit beside the weights on one replica.

    Raises `InvalidSetting` where the weights leave no room for one request, naming how many devices would.
    """
    room = run.memory_share * profile.memory.capacity - weight_bytes(model, parallel)
    tokens = run.prompts.mean + run.outputs.met / 2
    each = cache_bytes(model, tokens, parallel)
    if draft is not None:
        room, each = room - weight_bytes(draft, parallel), each + cache_bytes(draft, tokens, parallel)
    if room < each:
        need = weight_bytes(model, parallel) + each
        raise InvalidSetting(
            f"{model.name} needs {format_si(need, 'B')} on each device for its weights and one request, and {run.memory_share:.0%} of "
            f"{profile.name} are {format_si(run.memory_share * profile.memory.capacity, 'B')}; spread it over more devices "
            "(parallel=Parallel(tensor=…)), hold lighter weights (weights=…), or take a larger device"
        )
    return room / each * parallel.data if each else float("inf")
