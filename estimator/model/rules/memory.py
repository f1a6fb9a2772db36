"""Operations that move data: copies, gathers, scatters, creation. Little or no arithmetic, but the bytes must be right."""

from estimator.model.rules.access import Touch, touches
from estimator.model.rules.registry import moved, rule
from estimator.model.work import Signature, TensorSpec, Work

COPIES = (
    "aten.clone", "aten._to_copy", "aten.copy", "aten.cat", "aten.stack", "aten.repeat", "aten.roll", "aten.flip", "aten.rot90",
    "aten.constant_pad_nd", "aten.reflection_pad1d", "aten.reflection_pad2d", "aten.reflection_pad3d", "aten.replication_pad1d",
    "aten.replication_pad2d", "aten.replication_pad3d", "aten.slice_scatter", "aten.select_scatter", "aten.diagonal_scatter",
    "aten.as_strided_scatter", "aten.slice_backward", "aten.select_backward", "aten.diagonal_backward", "aten.unfold_backward",
    "aten.pixel_shuffle", "aten.pixel_unshuffle", "aten.channel_shuffle", "aten.repeat_interleave", "aten.block_diag",
    "aten.view_copy", "aten._reshape_copy", "aten.expand_copy", "aten.permute_copy", "aten.transpose_copy", "aten.t_copy",
    "aten.squeeze_copy", "aten.unsqueeze_copy", "aten.slice_copy", "aten.select_copy", "aten.split_copy", "aten.unbind_copy",
    "aten.as_strided_copy", "aten.complex", "aten._pad_packed_sequence", "aten._pack_padded_sequence",
    "aten._pack_padded_sequence_backward", "aten.split_with_sizes_copy", "aten.unfold_copy", "aten.diagonal_copy",
    "aten.narrow_copy", "aten.alias_copy", "aten.diag_embed", "aten._chunk_cat",
)  # fmt: skip

# No kernel runs and no byte moves: the tensor shares storage, or memory is merely reserved.
FREE = (
    "aten.empty", "aten.empty_like", "aten.empty_strided", "aten.new_empty", "aten.new_empty_strided", "aten.empty_permuted",
    "aten._unsafe_view", "aten.unsafe_split", "aten.unsafe_split_with_sizes", "aten.unsafe_chunk", "aten.detach", "aten.alias",
    "aten.lift_fresh", "aten.lift", "aten._reshape_alias", "aten._assert_async", "aten._assert_tensor_metadata",
    "aten.resize", "aten.resize_as", "aten.set", "aten.as_strided", "aten.squeeze", "aten.unsqueeze", "aten.transpose", "aten.t",
)  # fmt: skip

GATHERS = ("aten.index", "aten._unsafe_index", "aten.gather", "aten.index_select", "aten.take", "aten.embedding")

CREATIONS = (
    "aten.zeros", "aten.ones", "aten.full", "aten.zeros_like", "aten.ones_like", "aten.full_like", "aten.new_zeros", "aten.new_ones",
    "aten.new_full", "aten.fill", "aten.zero", "aten.scalar_tensor", "aten.eye", "aten._efficientzerotensor",
)  # fmt: skip
SEQUENCES = ("aten.arange", "aten.linspace", "aten.tril_indices", "aten.triu_indices")


@rule(*COPIES, kind="copy")
def copy(op: Signature) -> Work:
    """Bytes only; a conversion of the number format happens on the way."""
    return moved(op)


@touches("aten.copy")
def source_only(op: Signature) -> Touch:
    """The destination is overwritten unread."""
    return Touch({"self": None})


@rule("aten._local_scalar_dense", kind="copy", fuses=False)
def to_host(op: Signature) -> Work:
    """`.item()`: one element goes to the host."""
    return moved(op)


@rule(*FREE, kind="creation")
def free(op: Signature) -> Work:
    """No work at all."""
    return Work()


@touches(*FREE)
def nothing(op: Signature) -> Touch:
    """Neither reads nor writes."""
    return Touch(only=(), writes=())


@rule(*CREATIONS, kind="creation")
def create(op: Signature) -> Work:
    """Bytes written, nothing computed."""
    return moved(op)


@rule(*SEQUENCES, kind="creation")
def sequence(op: Signature) -> Work:
    """Each element is start + i · step."""
    return moved(op, vector=2 * op.outputs[0].elements)


@touches(*CREATIONS, *SEQUENCES)
def written_only(op: Signature) -> Touch:
    """What is overwritten, or lends its shape, is not read."""
    return Touch(only=())


@rule(*GATHERS, kind="gather")
def gather(op: Signature) -> Work:
    """Bytes only: address arithmetic is not counted."""
    return moved(op)


@touches(*GATHERS)
def picked_elements(op: Signature) -> Touch:
    """As many elements of the table as go out, not the whole table."""
    table = "weight" if op.op == "aten.embedding" else "self"
    return Touch({table: TensorSpec(op.outputs[0].shape, op[table].format)})


@rule("aten._embedding_bag", "aten._embedding_bag_forward_only", kind="gather")
def embedding_bag(op: Signature) -> Work:
    """Adds the rows of each bag."""
    return moved(op, vector=_bag_rows(op).elements)


@touches("aten._embedding_bag", "aten._embedding_bag_forward_only")
def bag_rows(op: Signature) -> Touch:
    """One row of the table per index."""
    return Touch({"weight": _bag_rows(op)})


def _bag_rows(op: Signature) -> TensorSpec:
    return TensorSpec((*op["indices"].shape, *op["weight"].shape[1:]), op["weight"].format)


@rule("aten.masked_select", "aten.nonzero", kind="gather", fuses=False)
def compact(op: Signature) -> Work:
    """A test and a running count per element, then the survivors are written."""
    return moved(op, vector=2 * op["self"].elements)
