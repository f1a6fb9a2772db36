"""What training runs of a software stack lose, and what their libraries overlap: facts about stacks, not about runs."""

from functools import cache

from estimator.hardware.named import list_named, load_named
from estimator.hardware.schema import Number, Profile, Second, Section


class Practice(Section):
    """How a stack trains on many devices. Shares are of the time that they name."""

    name: str
    notes: str = ""
    stack: str = "compiled"  # the software stack whose kernels it launches
    kernel_share: Number  # of the rate of the best kernel of its kind that the kernels of a training step reach
    kernel_shares: dict[str, Number] = {}  # the same on chips whose architecture begins so
    score_passes: Number  # times that attention scores cross memory, forward and backward together; 0: fused attention
    score_bytes: Number  # kept for backward of each attention score; 0: fused attention
    sequence_parallel: Number  # 1: ranks of tensor parallelism share the tokens of norms, dropout and residual sums
    loss_passes: Number  # times that logits cross memory in fp32 for the loss, besides what a compiler leaves; 0: fused cross-entropy
    overlap_data: Number  # share of backward that exchanges of gradients and weights may hide behind
    overlap_tensor: Number  # share of the exchanges inside layers that products hide
    exchange_units: Number  # of the multiprocessors, which exchanges take from the products that hide them
    gradient_bytes: Number  # for each parameter, as exchanged
    straggler_spread: Number  # standard deviation of the step time between devices
    failure_interval: Second  # mean device time between failures that stop the run
    restart: Second  # from a failure to the next step
    checkpoint_seconds: Second  # in which writing a checkpoint stops the run
    evaluation_share: Number  # of the time, for evaluation and logging
    usable_memory: Number  # of the device's memory, the rest being context, buffers and fragments

    def on(self, profile: Profile) -> "Practice":
        """The practice with the share that its kernels reach on this chip."""
        share = next((one for name, one in self.kernel_shares.items() if profile.architecture.startswith(name)), self.kernel_share)
        return self.model_copy(update={"kernel_share": share, "kernel_shares": {}})


def list_practices() -> list[str]:
    """Names of the bundled practices."""
    return list_named("practice")


@cache
def load_practice(name: str) -> Practice:
    """The `Practice` of that name; raises `UnknownName` or `ProfileError`."""
    return load_named(Practice, "practice", name, "training practice")
