"""Three loads that every chip is published with: a large matrix product, a memory stream, and nothing at all."""

from dataclasses import dataclass

from estimator.hardware.power import idle_power
from estimator.hardware.schema import Profile
from estimator.model.work import Kernel, Signature, TensorSpec
from estimator.run.phase import Phase, host_gaps, price
from estimator.run.stack import Stack, load_stack

SIDE = 8192  # exact: the matrix size of published GEMM benchmarks
STREAM_ELEMENTS = 2**30  # exact: far beyond every cache


@dataclass(frozen=True, slots=True)
class Reading:
    """Mean power in W and the rate reached (FLOP/s or B/s), with whether the cap was met."""

    power: float
    rate: float
    capped: bool


def gemm_phase(profile: Profile, number_format: str = "bf16", side: int = SIDE) -> Phase:
    """A square matrix product repeated back to back."""
    matrix = TensorSpec((side, side), number_format)
    signature = Signature("aten.mm", (("self", matrix), ("mat2", matrix)), (matrix,))
    return _run(Kernel("aten.mm", "matmul", "forward", "", (signature,), format=number_format), profile)


def stream_phase(profile: Profile) -> Phase:
    """A copy of an array much larger than the caches, repeated back to back."""
    array = TensorSpec((STREAM_ELEMENTS,), "fp32")
    signature = Signature("aten.clone", (("self", array), ("memory_format", None)), (array,))
    return _run(Kernel("aten.clone", "copy", "forward", "", (signature,)), profile)


def gemm(profile: Profile, number_format: str = "bf16", side: int = SIDE) -> Reading:
    """Power and FLOP/s of `gemm_phase`."""
    phase = gemm_phase(profile, number_format, side)
    return _reading(phase, sum(entry.flop for entry in phase.entries))


def stream(profile: Profile) -> Reading:
    """Power and B/s of `stream_phase`."""
    phase = stream_phase(profile)
    return _reading(phase, sum(entry.traffic["memory"] for entry in phase.entries))


def idle(profile: Profile) -> Reading:
    """The board with no work."""
    return Reading(idle_power(profile), 0.0, False)


def idle_with_context(profile: Profile) -> Reading:
    """The board while a process holds it and runs nothing: clocks up, gated, waiting for the host."""
    phase = host_gaps(profile, load_stack("eager"), steps=1)
    return Reading(phase.point.power, 0.0, phase.point.capped)


def _run(kernel: Kernel, profile: Profile) -> Phase:
    stack: Stack = load_stack("compiled")
    return price("forward", [kernel], profile, stack)


def _reading(phase: Phase, amount: float) -> Reading:
    seconds = sum(entry.time for entry in phase.entries)
    return Reading(phase.point.power, amount / seconds, phase.point.capped)
