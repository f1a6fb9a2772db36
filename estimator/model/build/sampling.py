"""Lifts one step of a model: traced at its sample sizes, each once, and merged into a program that holds at every size."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from estimator.errors import LiftError
from estimator.model.build.served import served
from estimator.model.build.steps import Step
from estimator.model.fusion import kernels
from estimator.model.lift import Fit, merge
from estimator.model.polynomial import Polynomial
from estimator.model.program import Program
from estimator.model.work import Kernel

FUSIONS = {"training": ("eager", "fused")}
INFERENCE = ("eager", "fused", "serving")
T = TypeVar("T")


class Lifted(NamedTuple):
    """One step for any size, the memory that training saves for backward, and what was decided on the way."""

    program: Program
    saved_bytes: Polynomial | None
    decisions: tuple[str, ...]


def lift_step(model: Any, name: str, step: Step) -> Lifted:
    """Trace a step at its sample sizes and lift it; sizes that are squared somewhere take a few more samples."""
    with served(model, name) as replaced:
        samples, saved = Samples(model, step, FUSIONS.get(name, INFERENCE)), None
        program = Program(step.symbols, _lowest_degree(samples.kernels))
        if name == "training":
            try:
                saved = _lowest_degree(samples.saved_bytes)
            except LiftError:
                samples.decisions[NO_PEAK] = None
    return Lifted(program, saved, (*sorted(replaced), *samples.decisions))


NO_PEAK = "The memory that training saves has its peak in different places at different sizes; no closed form is given."


def _lowest_degree(fit: Callable[[int], T]) -> T:
    try:
        return fit(1)
    except LiftError:
        return fit(2)


class Samples:
    """Traces of one step, each made once."""

    def __init__(self, model: Any, step: Step, fusions: tuple[str, ...]) -> None:
        self.model, self.step, self.fusions = model, step, fusions
        self.decisions: dict[str, None] = {}
        self._kernels: dict[tuple[int, ...], dict[str, tuple[Kernel, ...]]] = {}
        self._saved: dict[tuple[int, ...], int] = {}

    def kernels(self, degree: int) -> dict[str, tuple[Kernel, ...]]:
        """The kernels by fusion for any size, if sizes are polynomials of that degree; raises `LiftError`."""
        points, held_out = self.step.points(degree), self.step.held_out
        keys = [self._trace(sizes) for sizes in (*points, *held_out)]
        return {fusion: merge([*points, *held_out], [self._kernels[key][fusion] for key in keys], len(points)) for fusion in self.fusions}

    def saved_bytes(self, degree: int) -> Polynomial:
        """The peak of saved bytes for any size; raises `LiftError`."""
        points, held_out = self.step.points(degree), self.step.held_out
        peaks = [self._saved[self._trace(sizes)] for sizes in (*points, *held_out)]
        return Polynomial.constant(0) + Fit(points, held_out)(*peaks)

    def _trace(self, sizes: dict[str, int]) -> tuple[int, ...]:
        key = tuple(sizes.values())
        if key not in self._kernels:
            trace = self.step.run(self.model, **sizes)
            self._kernels[key] = {fusion: kernels(trace, fusion) for fusion in self.fusions}
            self._saved[key] = int(trace.saved_bytes)
            self.decisions |= dict.fromkeys(trace.decisions)
        return key
