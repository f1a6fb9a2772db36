"""Pooling and resampling: work per output element from the window, or from the table."""

from math import prod

from estimator.model.rules.access import Touch, touches
from estimator.model.rules.arithmetic import window_size
from estimator.model.rules.pointwise import per_output
from estimator.model.rules.reduction import per_input
from estimator.model.rules.registry import moved, rule
from estimator.model.rules.table import flop_per_element
from estimator.model.work import Signature, Work

MAX_POOLS = {"aten.max_pool2d_with_indices": 2, "aten.max_pool3d_with_indices": 3}  # exact: dimensions
AVG_POOLS = {"aten.avg_pool2d": 2, "aten.avg_pool3d": 3}  # exact: dimensions
AVG_POOLS_BACKWARD = {f"{op}_backward": dimensions for op, dimensions in AVG_POOLS.items()}
ADAPTIVE_AVG = ("aten._adaptive_avg_pool2d", "aten._adaptive_avg_pool3d")
ADAPTIVE_MAX = ("aten.adaptive_max_pool2d", "aten.adaptive_max_pool3d")

NEAREST = ("upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d",
           "_upsample_nearest_exact1d", "_upsample_nearest_exact2d", "_upsample_nearest_exact3d")  # fmt: skip
INTERPOLATED = {
    "upsample_linear1d": "upsample_linear1d", "upsample_bilinear2d": "upsample_bilinear2d",
    "_upsample_bilinear2d_aa": "upsample_bilinear2d", "upsample_trilinear3d": "upsample_trilinear3d",
    "upsample_bicubic2d": "upsample_bicubic2d", "_upsample_bicubic2d_aa": "upsample_bicubic2d",
}  # fmt: skip


@rule(*MAX_POOLS, kind="reduction")
def max_pool(op: Signature) -> Work:
    """One comparison per window element."""
    return moved(op, vector=op.outputs[0].elements * window_size(op["kernel_size"], MAX_POOLS[op.op]))


@rule(*AVG_POOLS, kind="reduction")
def avg_pool(op: Signature) -> Work:
    """One addition per window element, one multiply by 1/size."""
    return moved(op, vector=op.outputs[0].elements * (window_size(op["kernel_size"], AVG_POOLS[op.op]) + 1))


@rule(*(f"{op}_backward" for op in (*MAX_POOLS, *ADAPTIVE_MAX)), kind="gather", fuses=False)
def max_pool_backward(op: Signature) -> Work:
    """Each gradient is added at the position that was largest."""
    return moved(op, vector=op["grad_output"].elements)


@rule(*AVG_POOLS_BACKWARD)
def avg_pool_backward(op: Signature) -> Work:
    """Each gradient, scaled once, is added to every element of its window."""
    return moved(op, vector=op["grad_output"].elements * (window_size(op["kernel_size"], AVG_POOLS_BACKWARD[op.op]) + 1))


@rule(*ADAPTIVE_AVG, *ADAPTIVE_MAX, kind="reduction")
def adaptive_pool(op: Signature) -> Work:
    """One addition or comparison per input element: windows tile the input."""
    return moved(op, vector=op["self"].elements)


@rule(*(f"{op}_backward" for op in ADAPTIVE_AVG))
def adaptive_pool_backward(op: Signature) -> Work:
    """Each input element gets its window's gradient, scaled."""
    return moved(op, vector=op.outputs[0].elements)


@touches(*(f"{op}_backward" for op in (*MAX_POOLS, *ADAPTIVE_MAX, *ADAPTIVE_AVG)), *AVG_POOLS_BACKWARD)
def gradients_and_indices(op: Signature) -> Touch:
    """The input of the forward pass serves for its shape only."""
    return Touch({"self": None})


def _resampling_rules(op_name: str, entry: str) -> None:
    @rule(f"aten.{op_name}", kind="gather")
    def resample(op: Signature) -> Work:
        return per_output(op, entry)

    @rule(f"aten.{op_name}_backward", kind="gather", fuses=False)
    def resample_backward(op: Signature) -> Work:
        """The transpose: every output gradient goes to the inputs that made it, with one addition more."""
        forward = per_input(op, entry)
        return moved(op, vector=forward.vector_flop + op["grad_output"].elements)


for _name in NEAREST:
    _resampling_rules(_name, "upsample_nearest")
for _name, _entry in INTERPOLATED.items():
    _resampling_rules(_name, _entry)


@rule("aten.grid_sampler_2d", kind="gather", fuses=False)
def grid_sampler(op: Signature) -> Work:
    """Bilinear interpolation at computed positions."""
    return per_output(op, "grid_sampler")


@rule("aten.grid_sampler_2d_backward", kind="gather", fuses=False)
def grid_sampler_backward(op: Signature) -> Work:
    """Twice the forward work: gradients of the input and of the grid."""
    per_gradient = flop_per_element("grid_sampler").vector * op["grad_output"].elements
    return moved(op, vector=2 * per_gradient)


@rule(*(f"aten.{edge}_pad{dimensions}d_backward" for edge in ("reflection", "replication") for dimensions in range(1, 4)), kind="gather")
def pad_backward(op: Signature) -> Work:
    """Gradients of the padding are added to those of the elements that it repeats."""
    return moved(op, vector=op["grad_output"].elements)


@touches(*(f"aten.{edge}_pad{dimensions}d_backward" for edge in ("reflection", "replication") for dimensions in range(1, 4)))
def gradient_only(op: Signature) -> Touch:
    """The input of the forward pass serves for its shape only."""
    return Touch({"self": None})


@rule("aten.im2col", kind="copy")
def im2col(op: Signature) -> Work:
    """Copies every window into a column."""
    return moved(op)


@rule("aten.col2im", kind="copy")
def col2im(op: Signature) -> Work:
    """Adds every column back at its window."""
    return moved(op, vector=prod(op["self"].shape))
