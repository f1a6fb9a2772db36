"""Suite "kernels": one kernel launched in a tight loop, at the operating point that this alone settles at."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from estimator.hardware.schema import Profile
from estimator.model.work import Kernel
from estimator.run.phase import Phase, price
from estimator.run.stack import load_stack
from estimator.validation import latent, recurrent, signatures, streams
from estimator.validation.hardware import profile_of
from estimator.validation.meter import Lagging, loop_of, paused_power
from estimator.validation.native import is_native
from estimator.validation.prediction import Prediction
from estimator.validation.protocol import entry_of
from estimator.validation.rows import Row

STACK = "compiled"  # a benchmark's loop: launches recorded or queued far ahead, sequences of one length
MODULE_STACK = "recorded"  # a module of an engine outside its compiler, in a graph
BENCHMARKS = {
    "gemm": signatures.gemm,
    "matmul": signatures.matmul,
    "context_attention": signatures.attention,
    "generation_attention": signatures.attention,
    "encoder_attention": signatures.attention,
    "context_mla": latent.latent_attention,
    "generation_mla": latent.latent_attention,
    "mla_context_module": latent.latent_module,
    "mla_generation_module": latent.latent_module,
    "mla_bmm": latent.per_head_products,
    "moe": signatures.mixture,
    "computescale": signatures.quantise,
    "scale_matrix": signatures.quantise,
    "gdn": recurrent.recurrence,
    "mamba2": recurrent.recurrence,
    **streams.BENCHMARKS,
}


def predict(row: Row) -> Prediction:
    """Time and energy of one call."""
    kernels = BENCHMARKS[row.text("task")](row)
    profile = profile_of(row)
    loop, before = loop_of(row, profile), None
    entry = entry_of(row, "before")
    if loop and entry:
        before, call = _earlier(row, profile, entry)
        loop = replace(loop, before=loop.length(call))
    return Lagging((priced(kernels, profile, stack_of(row)),), profile, loop=loop, before=before)


def stack_of(row: Row) -> str:
    """The software stack of a row: modules of vLLM are called outside its compiler."""
    return MODULE_STACK if is_native(row) else STACK


def _earlier(row: Row, profile: Profile, entry: Mapping[str, Any]) -> tuple[float, float]:
    """Power in W, and seconds from call to call, of the loop that the benchmark's code runs before a row's; calls wait `gap` s each."""
    earlier = replace(row, columns={**row.columns, "kernel_source": entry["runs"]})
    one = Prediction((priced(BENCHMARKS[row.text("task")](earlier), profile),), profile)
    busy, idle = one.time or 0.0, paused_power(profile)
    call = busy + entry["gap"]
    return idle + (one.power - idle) * busy / call, call


_cache: dict[tuple[tuple[Kernel, ...], int, str], tuple[Profile, Phase]] = {}


def priced(kernels: tuple[Kernel, ...], profile: Profile, stack: str = STACK) -> Phase:
    """The phase of these kernels; equal shapes on one profile and stack are priced once."""
    key = (kernels, id(profile), stack)
    if key not in _cache:
        _cache[key] = (profile, price("forward", kernels, profile, load_stack(stack)))  # the profile is kept: its id stays its own
    return _cache[key][1]
