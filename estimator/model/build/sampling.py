"""Lifts one step of a model: traced at its sample sizes, each once, and merged into a program that holds at every size."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple, TypeVar

from estimator.errors import LiftError
from estimator.model.build.served import served
from estimator.model.build.steps import Step
from estimator.model.fusion import kernels, saved
from estimator.model.lift import Fit, merge
from estimator.model.polynomial import Polynomial
from estimator.model.program import Program
from estimator.model.saved import Part, Saved
from estimator.model.work import Kernel

FUSIONS = {"training": ("eager", "fused")}
INFERENCE = ("eager", "fused", "serving")
T = TypeVar("T")


class Lifted(NamedTuple):
    """One step for any size, what training saves for backward by fusion and part, and what was decided on the way."""

    program: Program
    saved: Mapping[str, Saved]
    decisions: tuple[str, ...]


def lift_step(model: Any, name: str, step: Step) -> Lifted:
    """Trace a step at its sample sizes and lift it; sizes that are squared somewhere take a few more samples."""
    with served(model, name) as replaced:
        samples = Samples(model, step, FUSIONS.get(name, INFERENCE), name == "training")
        program = Program(step.symbols, _lowest_degree(samples.kernels))
        parts = _saved(samples) if samples.training else {}
    return Lifted(program, parts, (*sorted(replaced), *samples.decisions))


UNCLEAR = "What training saves for backward is not the same at all sizes; no closed form is given."


def _saved(samples: "Samples") -> Mapping[str, Saved]:
    """What is saved, and what the launch needs beside it that needs most; where that is another one at other sizes, a bound of it."""
    for bound in (False, True):
        try:
            return _lowest_degree(partial(samples.saved, bound=bound))
        except LiftError:
            continue
    samples.decisions[UNCLEAR] = None
    return {}


def _lowest_degree(fit: Callable[[int], T]) -> T:
    try:
        return fit(1)
    except LiftError:
        return fit(2)


class Samples:
    """Traces of one step, each made once."""

    def __init__(self, model: Any, step: Step, fusions: tuple[str, ...], training: bool) -> None:
        self.model, self.step, self.fusions, self.training = model, step, fusions, training
        self.decisions: dict[str, None] = {}
        self._kernels: dict[tuple[int, ...], dict[str, tuple[Kernel, ...]]] = {}
        self._saved: dict[tuple[int, ...], dict[tuple[str, bool], dict[Part, int]]] = {}

    def kernels(self, degree: int) -> dict[str, tuple[Kernel, ...]]:
        """The kernels by fusion for any size, if sizes are polynomials of that degree; raises `LiftError`."""
        points, held_out = self.step.points(degree), self.step.held_out
        keys = [self._trace(sizes) for sizes in (*points, *held_out)]
        return {fusion: merge([*points, *held_out], [self._kernels[key][fusion] for key in keys], len(points)) for fusion in self.fusions}

    def saved(self, degree: int, bound: bool = False) -> dict[str, dict[Part, Polynomial]]:
        """What is saved for backward at any size, by fusion and part; raises `LiftError`."""
        points, held_out = self.step.points(degree), self.step.held_out
        found = [self._saved[self._trace(sizes)] for sizes in (*points, *held_out)]
        fit = Fit(points, held_out)

        def lifted(fusion: str) -> dict[Part, Polynomial]:
            samples = [one[fusion, bound] for one in found]
            if any(one.keys() != samples[0].keys() for one in samples):
                raise LiftError("what is saved for backward depends on the sizes")
            return {part: Polynomial.constant(0) + fit(*(one[part] for one in samples)) for part in sorted(samples[0])}

        return {fusion: lifted(fusion) for fusion in self.fusions}

    def _trace(self, sizes: dict[str, int]) -> tuple[int, ...]:
        key = tuple(sizes.values())
        if key not in self._kernels:
            trace = self.step.run(self.model, **sizes)
            self._kernels[key] = {fusion: kernels(trace, fusion) for fusion in self.fusions}
            if self.training:
                self._saved[key] = {(fusion, bound): saved(trace, fusion, bound) for fusion in self.fusions for bound in (False, True)}
            self.decisions |= dict.fromkeys(trace.decisions)
        return key
