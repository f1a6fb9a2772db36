"""Training as phases: forward, backward, recomputation and optimizer step, each with its own operating point."""

from collections.abc import Iterable, Sequence

from estimator.hardware.demand import Demand
from estimator.hardware.schema import Profile
from estimator.model.architecture import Architecture
from estimator.model.optimizer import optimizer_kernels, state_bytes
from estimator.model.work import PHASES, Kernel
from estimator.run.entry import HOST, Asked
from estimator.run.phase import Phase, host_gaps, price, price_asked
from estimator.run.settings import Training
from estimator.run.stack import IDLE, Stack


def training_step(model: Architecture, run: Training, stack: Stack) -> tuple[Kernel, ...]:
    """Kernels of one step of a lifted model: forward and backward at the sizes of `run`, and a fused optimizer."""
    program = model.programs["training"]
    given = {"batch": run.batch, "sequence": run.length, "target": run.length}
    fusion = stack.fusion if stack.fusion in program.kernels else "fused"  # a serving engine trains nothing: what a compiler would do
    kernels = program.at(fusion, **{symbol: given[symbol] for symbol in program.symbols})
    return (*kernels, *_optimizer(model, run))


def optimizer_state(kernels: Iterable[Kernel]) -> float:
    """Bytes that the named optimizers among `kernels` keep from step to step."""
    signatures = [signature for kernel in kernels for signature in kernel.signatures]
    return sum(state_bytes(signature) for signature in signatures if signature.op == "est.optimizer_step")


def _optimizer(model: Architecture, run: Training) -> tuple[Kernel, ...]:
    return optimizer_kernels(str(run.optimizer), model.parameters, model.format, model.programs["training"].kernels["eager"])


def training_phases(kernels: Sequence[Kernel], steps: int, profile: Profile, stack: Stack) -> list[Phase]:
    """Price the kernels of one training step phase by phase, `steps` times, and the host's time once a step.

    Within a step the host runs ahead: it launches while the device still computes, so the device waits only for as long as
    launching all kernels takes longer than running them.
    """
    ahead = stack.model_copy(update={"launch_interval": stack.launch_interval.scaled(0.0, "the host runs ahead within a step")})
    phases = []
    for name in PHASES:
        mine = [kernel for kernel in kernels if kernel.phase == name]
        if mine:
            phases.append(price(name, mine, profile, ahead, steps=steps))
    launches = sum(entry.launches for phase in phases for entry in phase.entries)
    late = launches * float(stack.launch_interval) - sum(entry.time for phase in phases for entry in phase.entries)
    if late > 0:
        waiting = Asked("waiting for launches", IDLE, Demand(interval=late / steps))
        phases.append(price_asked(HOST, [waiting], profile, stack, steps=steps))
    return [*phases, host_gaps(profile, stack, steps=steps)]
