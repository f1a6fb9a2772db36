"""What each kernel of a model does for its block, told from widths and from the order of the kernels: needed to cut a model for ranks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from estimator.model.work import Kernel, Signature, TensorSpec

ATTENTION = "est.attention"
GROUPED = "est.grouped_mm"
BLOCKS = ("att", "mlp", "mixer", "mamba", "experts", "ffn", "feed_forward", "moe")  # in the names of modules that ranks share
PRODUCTS = ("aten.mm", "aten.addmm", "aten.bmm", "est.packed_mm", GROUPED)


@dataclass(frozen=True)
class Heads:
    """Query and key heads of a model's attention, and how wide a key and a value are."""

    query: int
    key: int
    key_width: int
    value_width: int


def heads_of(kernels: Sequence[Kernel]) -> Heads | None:
    """Heads of the attention among `kernels`; None where there is none."""
    for kernel in kernels:
        for signature in kernel.signatures:
            if signature.op == ATTENTION:
                query, key, value = (signature[name].shape for name in ("query", "key", "value"))
                return Heads(int(query[1]), int(key[1]), int(key[-1]), int(value[-1]))
    return None


class Roles:
    """What each product does for its block, told from the widths and from the order of the kernels."""

    def __init__(self, kernels: Sequence[Kernel], hidden: int | None = None) -> None:
        self.heads = heads_of(kernels)
        self.experts = {int(s["weight"].shape[0]) for k in kernels for s in k.signatures if is_grouped(s)}
        self.hidden = _hidden(kernels) if hidden is None else hidden
        self.row: set[int] = set()
        self.whole: set[int] = set()
        attended, blocks = False, dict[tuple[str, tuple[int, ...]], int]()
        for index, kernel in enumerate(kernels):
            if kernel.kind == "attention":
                attended = True
                continue
            if kernel.kind != "matmul":
                continue
            block = block_of(kernel.module)
            inside = "att" in block.rpartition(".")[2].lower()
            k, n = widths(kernel.signatures[0])
            group = is_grouped(kernel.signatures[0])
            seen = blocks.get((block, kernel.layers), 0)
            blocks[block, kernel.layers] = seen + group
            if not block and not kernel.layers:
                continue  # the head
            if n in self.experts and not group or inside and not attended and self._feeds_another(kernels[index + 1 :], n):
                self.whole.add(id(kernel))
            elif inside and attended and _is_flat(kernel):
                self.row.add(id(kernel))
                attended = False
            elif not inside and (seen % 2 if group else k != self.hidden):
                self.row.add(id(kernel))

    def _feeds_another(self, later: Sequence[Kernel], n: Any) -> bool:
        for kernel in later:
            if kernel.kind == "attention":
                return False
            if kernel.kind == "matmul" and _is_flat(kernel) and widths(kernel.signatures[0])[0] == n != self.hidden:
                return True
        return False


def block_of(module: str) -> str:
    """The path of the block of a layer (attention, feed-forward) that a module belongs to; "" outside of them."""
    names = module.split(".")
    for index, name in enumerate(names):
        if "norm" not in name.lower() and any(word in name.lower() for word in BLOCKS):
            return ".".join(names[: index + 1])
    return ""


def widths(signature: Signature) -> tuple[Any, Any]:
    """(k, n) of a product's weight."""
    return next((signature[name].shape[-2:] for name in ("weight", "mat2") if signature.get(name) is not None), (0, 0))


def is_grouped(signature: Signature) -> bool:
    """Whether a product is one for each expert."""
    return signature.op in (GROUPED, "est.packed_mm") and len(signature["weight"].shape) == 3 and signature.get("offsets") is not None


def _is_flat(kernel: Kernel) -> bool:
    return any(signature.op in PRODUCTS and len(weight_of(signature).shape) == 2 for signature in kernel.signatures)


def weight_of(signature: Signature) -> TensorSpec:
    """The weight of a product."""
    return signature["weight"] if signature.get("weight") is not None else signature["mat2"]


def _hidden(kernels: Sequence[Kernel]) -> Any:
    """Width of the residual stream: what goes into the head, the last product."""
    return next((widths(k.signatures[0])[0] for k in reversed(kernels) if k.kind == "matmul"), 0)


def sums(kernels: Sequence[Kernel], hidden: int | None = None) -> Iterator[tuple[Kernel, float]]:
    """Where a layer ends a block in a sum over ranks: the last product of each block, and how often it is launched.

    Experts and shared experts of one block are added before they are summed.
    """
    roles = Roles(kernels, hidden)
    ends = {(block_of(k.module), k.layers): k for k in kernels if id(k) in roles.row}
    for kernel in ends.values():
        yield kernel, kernel.launches
