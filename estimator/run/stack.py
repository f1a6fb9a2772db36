"""A software stack as data: what it fuses, and the time that launching, scheduling and sampling cost."""

from functools import cache
from typing import Any, Literal

from estimator.errors import InvalidSetting
from estimator.hardware.named import list_named, load_named
from estimator.hardware.schema import Byte, BytePerClock, Number, Profile, Second, Section
from estimator.model.transform.routing import GROUPED
from estimator.model.work import Kernel

RECURRENT = "recurrent"
BY_CUDNN = ("convolution", RECURRENT)  # which has a switch for tf32 of its own


class Engine(Section):
    """What a serving engine adds: its scheduler beside the device, its sampler, and how it runs the products of experts."""

    launch_interval: Second
    host_step: Second
    host_sequence: Second
    rank_step: Second
    rank_sequence: Second
    sampling_bytes: Byte
    expert_skew: Number
    expert_rows_small: Number
    expert_rows_large: Number
    expert_alignment: Number
    expert_sorts: Number
    expert_load_rate: BytePerClock
    expert_tensor_share: Number


class Stack(Section):
    """How kernels are made and launched. Times in seconds."""

    name: str
    notes: str = ""
    fusion: Literal["eager", "fused", "serving"]
    launch_interval: Second
    kernel_overhead: Second
    step_overhead: Second
    sequence_overhead: Second
    attention_memory_share: Number
    softmax_overlap: Number
    serial_softmax_overlap: Number
    l2_resident_share: Number
    fp32_convolution_as_tf32: Number
    fp32_matmul_as_tf32: Number
    convolution_relayout: Number
    depthwise_ops_per_mac: Number
    convolution_fill: Number
    reduction_memory_share: Number
    copy_memory_share: Number
    group_pass_memory_share: Number
    row_pass_rate: BytePerClock
    scalar_pass_rate: BytePerClock | None = None
    recurrence_rate: BytePerClock
    gathered_load_rate: BytePerClock | None = None
    scaled_load_rate: BytePerClock | None = None
    attention_fma_per_clock: Number | None = None
    warp_attention_fma_per_clock: Number | None = None
    lane_attention_slots: Number | None = None
    element_ops: Number | None = None
    strided_element_ops: Number | None = None
    pixel_seconds: Second | None = None
    picture_input: Second | None = None
    exchange_interval: Second | None = None
    engine: Engine | None = None


COPY = "copy"  # rearranges elements, through shared memory: the chip is what keeps it below the streaming bandwidth
EXPERTS = "experts"  # products of experts by tiles that leave loads short
IDLE = "idle"
GROUP_PASS = "group pass"  # the class of kernels that scale or rotate small groups of elements
ROW_PASS = "row pass"  # passes over the rows of experts, a block of threads for each row
SCALAR_PASS = "scalar pass"  # passes that load one element a thread
SCALED_GROUPS = "scaled groups"  # products of experts whose kernel applies scales between matrix instructions, one warp for both
MEMORY_SHARES = {kind: f"{kind.replace(' ', '_')}_memory_share" for kind in ("attention", "reduction", GROUP_PASS)}
RATES = {ROW_PASS: "row_pass_rate", SCALAR_PASS: "scalar_pass_rate", "recurrence": "recurrence_rate"}  # bytes per clock and multiprocessor


def efficiency_class(kernel: Kernel) -> str:
    """What decides how well a kernel uses the chip: its kind in general.

    Narrowing with scales is a pass over groups of elements; products of experts with scales wait for their lanes after each block.
    """
    if "est.narrow" in [signature.op for signature in kernel.signatures]:
        return GROUP_PASS
    first = kernel.signatures[0] if kernel.signatures else None
    return SCALED_GROUPS if first and first.op in GROUPED and first.get("scale_a") is not None else kernel.kind


def streamed_share(rate: float, profile: Profile) -> float:
    """Share of the streaming bandwidth where each multiprocessor moves at most `rate` bytes in a clock, whatever the memory could."""
    streamed = profile.memory.bandwidth * profile.achievable.memory
    return min(1.0, rate * profile.die.multiprocessors * profile.clock.boost / streamed)


def terms(kind: str, stack: Stack) -> dict[str, Any]:
    """What the software adds to the demand of a kernel of this kind: the fields of `Demand` that it sets.

    The memory share of the kinds in `RATES` and of experts' products is a rate: `streamed_share` makes a share of it on a chip.
    """
    if kind == IDLE:
        return {}
    return {
        "memory_share": _memory_share(kind, stack),
        "chip_share": stack.copy_memory_share if kind == COPY else None,
        "overlap": {"attention": stack.softmax_overlap, SCALED_GROUPS: stack.serial_softmax_overlap}.get(kind, 1.0),
        "overhead": stack.kernel_overhead,
        "interval": _interval(kind, stack),
    }


def _interval(kind: str, stack: Stack) -> float:
    """Seconds that the host takes from one launch to the next; calling other devices may take it longer."""
    own = stack.exchange_interval if kind == "communication" else None
    return stack.launch_interval if own is None else own


def _memory_share(kind: str, stack: Stack) -> Any:
    if kind in RATES:
        return getattr(stack, RATES[kind])
    if kind == EXPERTS and stack.engine is not None:
        return stack.engine.expert_load_rate
    share = MEMORY_SHARES.get(kind)
    return getattr(stack, share) if share else 1.0


def engine_of(stack: Stack) -> Engine:
    """The serving engine of a stack; raises `InvalidSetting` for one that serves nothing."""
    if stack.engine is None:
        engines = ", ".join(name for name in list_stacks() if load_stack(name).engine is not None)
        raise InvalidSetting(f"stack {stack.name!r} batches no requests continuously: Serving goes with stack= one of {engines}")
    return stack.engine


def host_seconds(stack: Stack, sequences: float = 0.0) -> float:
    """Seconds of one step in which the device waits for the host, with `sequences` in flight."""
    return stack.step_overhead + sequences * stack.sequence_overhead


def matrix_format(kernel: Kernel, stack: Stack) -> str:
    """The number format in which the stack asks for the kernel's matrix products: fp32 may mean tf32."""
    return multiplied_as(product_kind(kernel), kernel.format, stack)


def product_kind(kernel: Kernel) -> str:
    """The kind of a kernel with matrix products, those of recurrent layers apart."""
    return RECURRENT if kernel.name.startswith(f"est.{RECURRENT}") else kernel.kind


def multiplied_as(kind: str, number_format: str, stack: Stack) -> str:
    """The same for any kernel of that kind and number format."""
    as_tf32 = stack.fp32_convolution_as_tf32 if kind in BY_CUDNN else stack.fp32_matmul_as_tf32
    return "tf32" if number_format == "fp32" and as_tf32 else number_format


def list_stacks() -> list[str]:
    """Names of the bundled software stacks."""
    return list_named("stack")


@cache
def load_stack(name: str) -> Stack:
    """The `Stack` of that name; raises `UnknownName` or `ProfileError`."""
    return load_named(Stack, "stack", name, "software stack")
