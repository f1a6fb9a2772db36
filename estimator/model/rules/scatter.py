"""Scatters: in place they touch only the rows that they name; out of place they copy the whole tensor first."""

from estimator.model.rules.access import Touch, touches
from estimator.model.rules.registry import moved, rule
from estimator.model.work import Dim, Signature, TensorSpec, Work

OVERWRITING = ("aten.scatter", "aten.index_copy", "aten.index_fill", "aten.masked_scatter")
ADDING = ("aten.scatter_add", "aten.index_add", "aten.scatter_reduce", "aten.index_reduce")
INDEX_PUTS = ("aten.index_put", "aten._unsafe_index_put", "aten._index_put_impl")


@rule(*OVERWRITING, kind="gather", fuses=False)
def overwrite(op: Signature) -> Work:
    """Bytes only."""
    return moved(op)


@rule(*ADDING, kind="gather", fuses=False)
def add(op: Signature) -> Work:
    """One addition per source element."""
    return moved(op, vector=_rows(op).elements)


@rule(*INDEX_PUTS, kind="gather", fuses=False)
def index_put(op: Signature) -> Work:
    """One addition per element if it accumulates."""
    return moved(op, vector=_indexed(op).elements if op["accumulate"] else 0)


@touches(*(f"{op}_" for op in OVERWRITING))
def overwritten_rows(op: Signature) -> Touch:
    """The rows are written unread."""
    return Touch({"self": None}, writes=(_rows(op),))


@touches(*(f"{op}_" for op in ADDING))
def updated_rows(op: Signature) -> Touch:
    """The rows are read and written."""
    return Touch({"self": _rows(op)}, writes=(_rows(op),))


@touches("aten.index_put_", "aten._index_put_impl_")
def put_rows(op: Signature) -> Touch:
    """Read only where it accumulates."""
    rows = _indexed(op)
    return Touch({"self": rows if op["accumulate"] else None}, writes=(rows,))


def _rows(op: Signature) -> TensorSpec:
    """The part of `self` that the source lands on; without a source tensor, the indexed rows."""
    source = next((op.get(name) for name in ("source", "src") if isinstance(op.get(name), TensorSpec)), None)
    if source is not None:
        return TensorSpec(source.shape, op["self"].format)
    if op.get("dim") is None or len(op["index"].shape) == len(op["self"].shape):
        return TensorSpec(op["index"].shape, op["self"].format)
    shape = list(op["self"].shape)
    shape[op["dim"]] = op["index"].elements
    return TensorSpec(tuple(shape), op["self"].format)


def _indexed(op: Signature) -> TensorSpec:
    """Shape of `self[indices]`: that of the index tensors, then the dimensions that none of them covers."""
    indices = tuple(op["indices"])
    sizes, kept, picked = list(op["self"].shape), [], ()
    for index in indices:
        if index is None:
            kept.append(sizes.pop(0))
            continue
        del sizes[: len(index.shape) if index.format == "bool" else 1]
        picked = max(picked, index.shape, key=len)
    shape: tuple[Dim, ...] = (*picked, *kept, *sizes)
    return TensorSpec(shape, op["self"].format)


@rule("aten.embedding_dense_backward", kind="gather", fuses=False)
def embedding_backward(op: Signature) -> Work:
    """Adds each row's gradient to a table of zeros that is written in full."""
    return moved(op, vector=op["grad_output"].elements)


@rule("aten._embedding_bag_backward", "aten._embedding_bag_dense_backward", kind="gather", fuses=False)
def embedding_bag_backward(op: Signature) -> Work:
    """Adds each bag's gradient to every row of the bag."""
    return moved(op, vector=op["indices"].elements * op["grad"].shape[-1])
