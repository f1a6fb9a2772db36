"""Reductions, normalisations, losses and scans: the table's FLOP per element of the first tensor argument."""

from estimator.model.rules.access import Touch, touches
from estimator.model.rules.registry import moved, rule
from estimator.model.rules.table import flop_per_element, sections
from estimator.model.work import Signature, TensorSpec, Work

BATCH_NORMS = ("aten.native_batch_norm", "aten._native_batch_norm_legit", "aten.cudnn_batch_norm", "aten._batch_norm_with_update")
BATCH_NORMS_INFERENCE = ("aten._native_batch_norm_legit_no_training", "aten._batch_norm_no_update")
BATCH_NORMS_BACKWARD = ("aten.native_batch_norm_backward", "aten.cudnn_batch_norm_backward", "aten.batch_norm_backward")


def per_input(op: Signature, name: str) -> Work:
    """The table's entry `name` for every element of the first tensor argument."""
    entry, elements = flop_per_element(name), op.inputs[0].elements
    return moved(op, vector=entry.vector * elements, special=entry.special * elements)


def _table_rule(name: str, fuses: bool) -> None:
    @rule(f"aten.{name}", kind="reduction", fuses=fuses)
    def reduction(op: Signature) -> Work:
        return per_input(op, name)


for _name in sections()["reduction"]:
    _table_rule(_name, fuses=True)
for _name in sections()["scan"]:
    _table_rule(_name, fuses=False)


@rule(*BATCH_NORMS, kind="reduction")
def batch_norm(op: Signature) -> Work:
    """Statistics of the batch in training, stored ones otherwise."""
    training = op.get("training", op.get("train", True))
    return per_input(op, "batch_norm_training" if training else "batch_norm_inference")


@rule(*BATCH_NORMS_INFERENCE, kind="pointwise")
def batch_norm_inference(op: Signature) -> Work:
    """Stored statistics: a scale and a shift per channel."""
    return per_input(op, "batch_norm_inference")


@rule(*BATCH_NORMS_BACKWARD, kind="reduction")
def batch_norm_backward(op: Signature) -> Work:
    """Two sums over the batch, then every element's gradient."""
    return per_input(op, "batch_norm_backward")


@rule("aten._cdist_forward", kind="reduction", fuses=False)
def pairwise_distance(op: Signature) -> Work:
    """Distance of every pair of rows; counted for the Euclidean one."""
    entry, pairs = flop_per_element("euclidean_distance"), op.outputs[0].elements
    return moved(op, vector=entry.vector * pairs * op["x1"].shape[-1], special=pairs)


@rule("aten.nll_loss_forward", "aten.nll_loss2d_forward", kind="reduction")
def nll_loss(op: Signature) -> Work:
    """Picks one log-probability per target and adds them up."""
    return moved(op, vector=flop_per_element("nll_loss").vector * op["target"].elements)


@rule("aten.nll_loss_backward", "aten.nll_loss2d_backward")
def nll_loss_backward(op: Signature) -> Work:
    """One value per target; the zeros around them are written, not computed."""
    return moved(op, vector=flop_per_element("nll_loss").vector * op["target"].elements)


@touches("aten.nll_loss_forward", "aten.nll_loss2d_forward")
def picked(op: Signature) -> Touch:
    """One element per target."""
    return Touch({"self": TensorSpec(op["target"].shape, op["self"].format)})


@touches("aten.nll_loss_backward", "aten.nll_loss2d_backward")
def targets_only(op: Signature) -> Touch:
    """The gradient is -weight at the target and zero elsewhere: the input serves for its shape only."""
    return Touch({"self": None})


@touches(*BATCH_NORMS)
def batch_statistics_first(op: Signature) -> Touch:
    """Statistics over the whole batch are complete only after one pass; normalising is another."""
    return Touch(twice=("input",) if op.get("training", op.get("train", True)) else ())


@touches("aten.native_group_norm")
def group_statistics_first(op: Signature) -> Touch:
    """Statistics over channels and positions are complete only after one pass."""
    return Touch(twice=("input",))


@touches(*BATCH_NORMS_BACKWARD, "aten.native_group_norm_backward")
def gradient_sums_first(op: Signature) -> Touch:
    """The sums of the gradient, and of the gradient times the input, enter every element's gradient."""
    gradient = next(name for name in ("grad_out", "grad_output") if op.get(name) is not None)
    return Touch(twice=("input", gradient))


@touches("aten.native_layer_norm_backward", "aten._fused_rms_norm_backward")
def weight_gradients_apart(op: Signature) -> Touch:
    """The gradient of the input sums along rows, those of the weights across them: two passes where both are wanted."""
    mask = op.get("output_mask", ())
    return Touch(twice=("grad_out", "input") if mask and mask[0] and any(mask[1:]) else ())
