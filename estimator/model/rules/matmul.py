"""Matrix products: dense, batched, low-precision, grouped by expert, and the three-operand contraction of `nn.Bilinear`."""

from math import prod

from estimator.model.rules.access import Touch, touches
from estimator.model.rules.arithmetic import distinct_picks
from estimator.model.rules.registry import moved, rule
from estimator.model.work import Dim, MatrixProduct, Signature, TensorSpec, Work

REAL_PRODUCTS = {"complex64": 4, "complex128": 4}  # exact: (a + bi)(c + di) = (ac - bd) + (ad + bc)i


def matrix_product(a: TensorSpec, b: TensorSpec) -> MatrixProduct:
    """(…, m, k) times (k, n), (…, k, n) or (k): leading dimensions of `a` that `b` lacks belong to m."""
    n = b.shape[-1] if len(b.shape) > 1 else 1
    shared = max(len(b.shape) - 2, 0)
    batch, rows = prod(a.shape[:shared]), prod(a.shape[shared:-1])
    return MatrixProduct(REAL_PRODUCTS.get(a.format, 1) * batch, rows, n, a.shape[-1])


def _bias(op: Signature) -> Dim:
    """One addition per output element where the call has a bias."""
    return 0 if op.get("bias") is None else op.outputs[0].elements


def _product_rule(a: str, b: str, *ops: str) -> None:
    @rule(*ops, kind="matmul")
    def product(op: Signature) -> Work:
        return moved(op, products=(matrix_product(op[a], op[b]),), vector=_bias(op))


def _biased_product_rule(a: str, b: str, *ops: str) -> None:
    @rule(*ops, kind="matmul")
    def product_plus_bias(op: Signature) -> Work:
        return moved(op, products=(matrix_product(op[a], op[b]),), vector=op.outputs[0].elements)  # out = bias + A B


_product_rule("self", "mat2", "aten.mm", "aten.bmm", "aten._int_mm", "aten._scaled_mm", "aten._scaled_mm_v2", "aten._weight_int8pack_mm")
_product_rule("self", "vec", "aten.mv")
_product_rule("self", "tensor", "aten.dot")
_product_rule("self", "other", "aten.vdot")
_biased_product_rule("mat1", "mat2", "aten.addmm", "aten._addmm_activation")
_biased_product_rule("batch1", "batch2", "aten.baddbmm", "aten.addbmm")
_biased_product_rule("mat", "vec", "aten.addmv")


@rule("aten.addr", "aten.ger", kind="matmul")
def outer_product(op: Signature) -> Work:
    """Column times row: every output element is one multiply-add."""
    m, n = op.outputs[0].shape
    return moved(op, products=(MatrixProduct(REAL_PRODUCTS.get(op.outputs[0].format, 1), m, n, 1),))


@rule("aten.linear", kind="matmul")
def linear(op: Signature) -> Work:
    """Input times the transposed weight."""
    weight = op["weight"]
    transposed = TensorSpec(weight.shape[::-1], weight.format)
    return moved(op, products=(matrix_product(op["input"], transposed),), vector=_bias(op))


@rule("est.grouped_mm", kind="matmul")
def grouped_mm(op: Signature) -> Work:
    """One product per expert."""
    return moved(op, products=(grouped_product(op["input"], op["weight"], op.outputs[0], *routing(op)),))


@rule("aten._grouped_mm", "aten._scaled_grouped_mm", kind="matmul")
def torch_grouped_mm(op: Signature) -> Work:
    """Torch's own form of it, perhaps with a bias."""
    return moved(op, products=(grouped_product(op["self"], op["mat2"], op.outputs[0]),), vector=_bias(op))


def routing(op: Signature) -> tuple[int, float]:
    """How rows find their experts: so many at once, all different, and how unevenly (see `distinct_picks`)."""
    return op.get("picks", 1), op.get("zipf", 0)


def grouped_product(a: TensorSpec, b: TensorSpec, out: TensorSpec, picks: int = 1, zipf: float = 0) -> MatrixProduct:
    """One product per expert that gets any work, its ragged side at the mean size.

    (rows, k) with (experts, k, n): rows are split among experts. (m, rows) with (rows, n): the gradient of the weights, where
    the summed dimension is split. (experts, m, k) with (k, rows): columns are split.
    """
    match len(a.shape), len(b.shape):
        case 2, 3:
            (rows, k), (experts, _, n) = a.shape, b.shape
            touched = distinct_picks(experts, rows, picks, zipf)
            return MatrixProduct(touched, rows / touched, n, k)
        case 2, 2:
            (m, rows), (_, n) = a.shape, b.shape
            touched = distinct_picks(out.shape[0], rows, picks, zipf)
            return MatrixProduct(touched, m, n, rows / touched)
        case 3, 2:
            (experts, m, k), (_, rows) = a.shape, b.shape
            touched = distinct_picks(experts, rows, picks, zipf)
            return MatrixProduct(touched, m, rows / touched, k)
    return matrix_product(a, b)


@touches("est.grouped_mm")
def touched_experts(op: Signature) -> Touch:
    """Weights of experts without rows are never read."""
    return Touch(_touched_weights(op, "input", "weight"))


@touches("aten._grouped_mm", "aten._scaled_grouped_mm")
def torch_touched_experts(op: Signature) -> Touch:
    """As `touched_experts`, by torch's argument names."""
    return Touch(_touched_weights(op, "self", "mat2"))


def _touched_weights(op: Signature, a: str, b: str) -> dict[str, TensorSpec | None]:
    for stacked, ragged, dimension in ((b, a, 0), (a, b, -1)):
        weights, rows = op[stacked], op[ragged]
        if len(weights.shape) == 3 and len(rows.shape) == 2:
            experts = distinct_picks(weights.shape[0], rows.shape[dimension], *routing(op))
            return {stacked: TensorSpec((experts, *weights.shape[1:]), weights.format)}
    return {}


@rule("aten._trilinear", kind="matmul")
def trilinear(op: Signature) -> Work:
    """Sum of i1 · i2 · i3 over `sumdim`: at each point of the iteration space a multiply-add and one more multiply."""
    operands = [_expand(op[f"i{i}"].shape, op[f"expand{i}"]) for i in range(1, 4)]
    points = prod(next(size for size in sizes if size is not None) for sizes in zip(*operands))
    return moved(op, products=(MatrixProduct(1, points, 1, 1),), vector=points)


def _expand(shape: tuple, positions: tuple[int, ...]) -> list:
    sizes = list(shape)
    for position in sorted(positions):
        sizes.insert(position, None)
    return sizes
