"""Work with pauses: launches that the host paces, and bursts with rests; it shows what a device draws while it waits."""

from estimator.hardware.schema import Profile
from estimator.run.phase import Phase, host_gaps, price
from estimator.run.stack import load_stack
from estimator.validation.hardware import profile_of
from estimator.validation.prediction import Prediction
from estimator.validation.rows import NotPredicted, Row
from estimator.validation.signatures import Kernels, matmul

STACK = "eager"  # the host launches one by one


def predict(row: Row) -> Prediction:
    """Time and energy of one launch with the wait that follows it, or of one burst with its rest."""
    task = row.text("task")
    if task not in PACED:
        raise NotPredicted(f"no pace is known for the task {task!r}")
    profile = profile_of(row)
    return Prediction(PACED[task](row, matmul(row), profile), profile)


def launch_gap(row: Row, kernels: Kernels, profile: Profile) -> tuple[Phase, ...]:
    """A launch every `interval_s`, or as soon as the one before has ended."""
    stack = load_stack(STACK).model_copy(update={"launch_interval": row.positive("interval_s")})
    return (price("forward", kernels, profile, stack),)


def duty_cycle(row: Row, kernels: Kernels, profile: Profile) -> tuple[Phase, ...]:
    """`calls` launches back to back, then `pause_s` without work."""
    stack = load_stack(STACK)
    rest = stack.model_copy(update={"step_overhead": row.positive("pause_s")})
    return (price("forward", kernels, profile, stack, steps=row.positive("calls")), host_gaps(profile, rest, steps=1))


PACED = {"launch_gap": launch_gap, "duty_cycle": duty_cycle}
