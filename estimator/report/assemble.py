"""Puts the answer together: phases of a run, with coverage, assumptions and the source of every number."""

from collections.abc import Iterable

from estimator.hardware.schema import Profile
from estimator.kept import kept
from estimator.model.architecture import Architecture
from estimator.model.rules import is_known
from estimator.model.trace import Trace
from estimator.model.work import Kernel
from estimator.quantity import Quantity
from estimator.report.estimate import Estimate, Source
from estimator.run.formats import matrix_unit
from estimator.run.phase import origin_of
from estimator.run.pictures import unshown
from estimator.run.plan import Plan, Run
from estimator.run.settings import SHAPES, describe
from estimator.run.speech import is_speech
from estimator.run.stack import Stack, multiplied_as, product_kind
from estimator.run.uncertainty import kind_of, metered_error, structural_error
from estimator.units import KELVIN_AT_ZERO_CELSIUS

MATRIX_KINDS = ("matmul", "attention", "convolution")
KEPT = 32  # exact: profiles and stacks whose numbers are listed already


def assemble(subject: Architecture | Trace, plan: Plan, run: Run, profile: Profile, stack: Stack) -> Estimate:
    """The `Estimate` of a plan."""
    notes = [*plan.notes, *subject.decisions, *_format_notes(plan.kernels, profile, stack), *_standing_notes(profile, stack, plan.devices)]
    return Estimate(
        model=subject.name,
        hardware=profile.name,
        stack=stack.name,
        run=describe(run, without=_unused(subject) | unshown(run)),
        phases=tuple(plan.phases),
        tokens=plan.tokens,
        samples=plan.samples,
        steps=plan.steps,
        parameters=subject.parameters,
        service=plan.service,
        devices=plan.devices,
        mfu=plan.mfu,
        facility=plan.facility,
        media_seconds=plan.media_seconds,
        coverage=_unknown(plan.kernels),
        assumptions=tuple(dict.fromkeys(notes)),
        numbers=(*_numbers("hardware", profile), *_numbers("stack", stack), *_beside(plan), *_structural(run, stack, plan)),
    )


def _unused(subject: Architecture | Trace) -> set[str]:
    """Settings that do not apply: shapes that the example inputs set, tokens of a model that has none."""
    if isinstance(subject, Trace):
        return {*SHAPES, "audio_seconds"}
    symbols = {symbol for program in subject.programs.values() for symbol in program.symbols}
    sequence = set() if symbols & {"sequence", "target"} else {"prompt_tokens", "sequence_tokens"}
    unheard = set() if is_speech(subject) else {"audio_seconds"}
    return sequence | unheard | (set() if "decode" in subject.programs else {"output_tokens", "cached_tokens"})


@kept(KEPT)
def _numbers(owner: str, holder: Profile | Stack) -> tuple[Source, ...]:
    return tuple(_source(f"{owner}.{path}", value) for path, value in holder.quantities().items())


def _beside(plan: Plan) -> Iterable[Source]:
    """Numbers of the practice and the cluster of a training run, and of servers and facility."""
    origin, meter = origin_of(plan.phases), plan.facility.meter if plan.facility else None
    numbers = (dict(meter.quantities()) if meter else {}) | (dict(origin.quantities()) if origin else {})
    return (_source(path, value) for path, value in numbers.items())


def _structural(run: object, stack: Stack, plan: Plan) -> Iterable[Source]:
    kind = kind_of(run, stack.name)
    errors = structural_error(kind) | (metered_error(kind) if plan.facility else {})
    return (_source(path, value) for path, value in errors.items())


def _source(name: str, value: Quantity) -> Source:
    return Source(name, float(value), value.unit, value.low, value.high, value.source, value.status)


def _unknown(kernels: Iterable[Kernel]) -> dict[str, int]:
    met: dict[str, int] = {}
    for kernel in kernels:
        for signature in kernel.signatures:
            if not is_known(signature.op):
                met[signature.op] = met.get(signature.op, 0) + int(kernel.launches)
    return met


def _format_notes(kernels: Iterable[Kernel], profile: Profile, stack: Stack) -> list[str]:
    """Where the format of a product in the model is not the one in which the chip multiplies."""
    runs: dict[tuple[str, str, str], list[str]] = {}
    for kind, stated in sorted({(product_kind(kernel), kernel.format) for kernel in kernels if kernel.kind in MATRIX_KINDS}):
        unit, used = matrix_unit(multiplied_as(kind, stated, stack), profile)
        if used != stated or unit == "vector":
            runs.setdefault((stated, used, unit), []).append(kind)
    return [
        f"{stated} products ({', '.join(kinds)}) run as {used} on the {unit} units of {profile.name}"
        for (stated, used, unit), kinds in runs.items()
    ]


def _devices(count: int) -> str:
    return "one device" if count == 1 else f"{count} devices"


def _standing_notes(profile: Profile, stack: Stack, devices: int) -> list[str]:
    celsius = profile.thermal.ambient - KELVIN_AT_ZERO_CELSIUS
    cooling = f"coolant or air enters at {celsius:.0f} °C" if profile.thermal.resistance else f"the junction is held at {celsius:.0f} °C"
    operands = "like random data" if float(profile.activity) == 1 else f"{profile.activity:.3g} times as often as random data"
    return [
        *profile.what_if,
        f"hardware is {profile.name}; {_devices(devices)}, board energy only: host, network and cooling are not included",
        f"software stack {stack.name}: {stack.notes}",
        f"operands toggle {operands}; {cooling}",
    ]
