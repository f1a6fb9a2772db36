"""One device's share of a model's kernels: matrix products by columns or rows, attention by heads, experts by rank.

Tensor parallelism after Shoeybi et al. (Megatron-LM, arXiv:1909.08053): the products into a block are cut by columns, the product out of
it by rows, so that each block ends in one sum over the ranks. Key heads that are fewer than the ranks are repeated. Down-projections
of latent attention and routers are repeated on every rank, as serving engines do it.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from estimator.errors import InvalidSetting
from estimator.model.work import Kernel, Signature, TensorSpec
from estimator.run.roles import PRODUCTS, Roles, block_of, heads_of, is_grouped, weight_of, widths

WEIGHT_PARTS = ("mat2", "weight", "values", "scales", "zeros", "places")
INPUT_PARTS = ("self", "mat1", "input")


def check_degree(name: str, kernels: Sequence[Kernel], tensor: int) -> None:
    """Raises `InvalidSetting` where the heads cannot be divided among the ranks."""
    heads = heads_of(kernels)
    if heads is not None and heads.query % tensor:
        allowed = ", ".join(str(n) for n in range(1, heads.query + 1) if heads.query % n == 0)
        raise InvalidSetting(
            f"tensor={tensor}: {name} has {heads.query} attention heads, which {tensor} ranks cannot share; allowed: {allowed}"
        )


def shard(kernels: Sequence[Kernel], tensor: int = 1, expert: int = 1, hidden: int | None = None) -> tuple[Kernel, ...]:
    """The kernels that one of `tensor` ranks runs; experts are spread whole over `expert` ranks, or cut by all of them (1).

    `hidden` is the width of the residual stream, by default that of what goes into the last product, a language model's head.
    The batch is left as it is: every rank of a tensor-parallel group sees every token.
    """
    if tensor == 1 and expert == 1:
        return tuple(kernels)
    roles = Roles(kernels, hidden)
    return tuple(_sharded(kernel, roles, tensor, expert) for kernel in kernels)


def _sharded(kernel: Kernel, roles: Roles, tensor: int, expert: int) -> Kernel:
    block = block_of(kernel.module)
    if kernel.kind == "attention":
        return _rewritten(kernel, lambda s: _attention(s, roles, tensor))
    if kernel.kind == "matmul" and id(kernel) not in roles.whole:
        row = id(kernel) in roles.row
        return _rewritten(kernel, lambda s: _product(s, roles, tensor, expert, row))
    if block and id(kernel) not in roles.whole and not _routes(kernel, roles):
        return kernel if expert > 1 and "experts" in kernel.module else _shrunk(kernel, tensor)
    return kernel


def _routes(kernel: Kernel, roles: Roles) -> bool:
    """Whether a kernel belongs to a router, which every rank runs whole."""
    return bool(roles.experts) and any(word in kernel.module for word in ("gate", "router")) and kernel.kind != "matmul"


def _rewritten(kernel: Kernel, change: Any) -> Kernel:
    """The kernel with changed signatures, and the tensors that it reads and writes changed alike."""
    reads: dict[TensorSpec, TensorSpec] = {}
    writes: dict[TensorSpec, TensorSpec] = {}
    signatures = []
    for signature in kernel.signatures:
        new = change(signature)
        reads |= dict(zip(signature.inputs, new.inputs))
        writes |= dict(zip(signature.outputs, new.outputs))
        signatures.append(new)
    swap = lambda specs, table: None if specs is None else tuple(table.get(spec, spec) for spec in specs)  # noqa: E731
    return replace(
        kernel, signatures=tuple(signatures), reads=swap(kernel.reads, reads), writes=swap(kernel.writes, writes),
        resident=swap(kernel.resident, reads) or (),
    )  # fmt: skip


def _product(signature: Signature, roles: Roles, tensor: int, expert: int, row: bool) -> Signature:
    if signature.op not in PRODUCTS:
        return signature
    if is_grouped(signature) and expert > 1:
        return _own_experts(signature, expert)
    if len(weight_of(signature).shape) == 3 and not is_grouped(signature):  # one product for each head
        every = tuple((name, _cut(value, 0, tensor) if isinstance(value, TensorSpec) else value) for name, value in signature.arguments)
        return replace(signature, arguments=every, outputs=tuple(_cut(out, 0, tensor) for out in signature.outputs))
    parts = _ranks(signature, roles, tensor)
    arguments = []
    for name, value in signature.arguments:
        if isinstance(value, TensorSpec) and name in WEIGHT_PARTS:
            value = _cut(value, -2 if row else -1, tensor if row else parts)
        elif isinstance(value, TensorSpec) and name in INPUT_PARTS and row and len(value.shape) > 1:
            value = _cut(value, -1, tensor)
        elif isinstance(value, TensorSpec) and name in ("bias", "self") and not row and len(value.shape) == 1:
            value = _cut(value, -1, parts)
        arguments.append((name, value))
    outputs = signature.outputs if row else tuple(_cut(out, -1, parts) for out in signature.outputs)
    return replace(signature, arguments=tuple(arguments), outputs=outputs)


def _ranks(signature: Signature, roles: Roles, tensor: int) -> int:
    """Among how many ranks the columns are spread: keys and values of fewer heads than ranks are repeated."""
    n, heads = widths(signature)[1], roles.heads
    if heads is None or heads.key >= tensor:
        return tensor
    return heads.key if n in (heads.key * heads.key_width, heads.key * heads.value_width) else tensor


def _own_experts(signature: Signature, expert: int) -> Signature:
    """The experts of one rank with their share of the rows: each token has as many picks fewer among them."""
    arguments = []
    for name, value in signature.arguments:
        if isinstance(value, TensorSpec) and name in WEIGHT_PARTS + INPUT_PARTS + ("offsets",):
            value = _cut(value, 0, expert)
        arguments.append((name, value / expert if name == "picks" else value))
    return replace(signature, arguments=tuple(arguments), outputs=tuple(_cut(out, 0, expert) for out in signature.outputs))


def _attention(signature: Signature, roles: Roles, tensor: int) -> Signature:
    if roles.heads is None:
        return signature
    own = {"query": tensor, "key": min(tensor, roles.heads.key), "value": min(tensor, roles.heads.key)}
    arguments = tuple(
        (name, _cut(value, 1, own[name]) if name in own and isinstance(value, TensorSpec) else value) for name, value in signature.arguments
    )
    return replace(signature, arguments=arguments, outputs=tuple(_cut(out, 1, tensor) for out in signature.outputs))


def _shrunk(kernel: Kernel, ranks: int) -> Kernel:
    """An element-wise kernel of a block on one rank's share of the elements."""

    def smaller(signature: Signature) -> Signature:
        arguments = tuple((name, _smaller(value, ranks)) for name, value in signature.arguments)
        return replace(signature, arguments=arguments, outputs=tuple(_cut(out, -1, ranks) for out in signature.outputs))

    return _rewritten(kernel, smaller)


def _smaller(value: Any, ranks: int) -> Any:
    if isinstance(value, TensorSpec):
        return _cut(value, -1, ranks) if value.shape else value
    return tuple(_smaller(part, ranks) for part in value) if isinstance(value, tuple) else value


def _cut(spec: TensorSpec, axis: int, parts: int) -> TensorSpec:
    if not spec.shape:
        return spec
    axis %= len(spec.shape)
    whole = spec.shape[axis]
    share = whole // parts if isinstance(whole, int) and whole % parts == 0 else whole / parts
    return replace(spec, shape=(*spec.shape[:axis], share, *spec.shape[axis + 1 :]))
