"""How a matrix product is cut into tiles: how many multiply-add slots it occupies and how many bytes cross each level.

Each output tile of `tile_m × tile_n` belongs to one multiprocessor, or to a cluster that shares its operands, and streams the k
dimension past it. Tiles that do not fill the last wave, and rows that do not fill a tile, leave slots empty. Smaller tiles fill
the chip better but read each operand more often; the library picks the fastest, and so does this model.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, isqrt

from estimator.hardware.schema import Profile
from estimator.model.work import MatrixProduct

Operands = tuple[float, float, float]  # bytes of the left and the right operand and of the result
VECTOR_TILE = (64, 64, 1)  # exact: rows, columns and cluster of a library kernel without tensor units
SHAPES = ((1, 1), (1, 2), (2, 1), (2, 2), (2, 4), (4, 2), (4, 4))  # exact: tile sizes tried, as divisors of the profile's largest tile
FEW_ROWS = 2  # exact: rows for each of 256 experts when 64 tokens choose 8, up to where vLLM's fused experts take the lowest tile
GROUP_SHAPES = ((1, 2), (2, 2), (4, 2), (8, 2))  # exact: as SHAPES, for rows that are gathered


@dataclass(frozen=True, slots=True)
class Tiling:
    """Multiply-add slots occupied, bytes between L2 and the multiprocessors, and bytes that leave DRAM, for one launch.

    `rounds`: tiles that each multiprocessor fills and drains one after the other, with nothing else to do meanwhile. `filled` are the
    slots of whole tiles, those of rows that are not there included, where tiles are known to run so.
    """

    slots: float
    l2_bytes: float
    memory_bytes: float
    rounds: float = 0.0
    filled: float = 0.0


def best_tiling(product: MatrixProduct, width: float, profile: Profile, macs_per_cycle: float, scaled: bool = False) -> Tiling:
    """The fastest `Tiling` of a product with operands of `width` bytes on a chip doing `macs_per_cycle` in all.

    Operands `scaled` in blocks halve the tile: its accumulators are held twice, or share their memory with the scales.
    """
    unit = profile.tensor
    m, n, cluster = (int(unit.tile_m), int(unit.tile_n), int(unit.tile_cluster)) if unit else VECTOR_TILE
    moved = operand_bytes(product, width)
    options = [_tiling(product, moved, profile, m // a, n // b, min(cluster, max(1, cluster // (a * b)))) for a, b in SHAPES[scaled:]]
    l2 = profile.l2.bandwidth
    best = min(options, key=lambda t: max(t.slots / macs_per_cycle, t.l2_bytes / l2 if l2 else 0.0))
    return Tiling(best.slots * product.executed, best.l2_bytes, best.memory_bytes, best.rounds)


def grouped_tiling(
    products: Sequence[MatrixProduct],
    width: float,
    profile: Profile,
    macs_per_cycle: float,
    ragged: bool,
    scaled: bool = False,
    tile_rows: float | None = None,
) -> Tiling:
    """The fastest `Tiling` of groups of products, such as those of experts, in one launch.

    Rows are gathered through a table of indices, so no two multiprocessors share a tile, and each group's rows fill whole tiles. With
    `ragged` groups the sizes are means: the last tile of a group is half full on average. A kernel compiled for tiles of `tile_rows`
    has no choice.
    """
    unit = profile.tensor
    m, n, cluster = (int(unit.tile_m), int(unit.tile_n), int(unit.tile_cluster)) if unit else VECTOR_TILE
    if tile_rows is not None:
        cut = _grouped(products, width, profile, int(tile_rows), n // 2, ragged)
        return cut if scaled else _as_if_full(cut, products, width, profile, macs_per_cycle, int(tile_rows), n // 2, ragged)
    options = [
        _grouped(products, width, profile, m // cluster // a, n // b, ragged)
        for a, b in (_scaled_shape(products) if scaled else GROUP_SHAPES)
    ]
    l2 = profile.l2.bandwidth
    return min(options, key=lambda t: max(t.slots / macs_per_cycle, t.l2_bytes / l2 if l2 else 0.0))


def _as_if_full(
    cut: Tiling,
    products: Sequence[MatrixProduct],
    width: float,
    profile: Profile,
    macs_per_cycle: float,
    tile_m: int,
    tile_n: int,
    ragged: bool,
) -> Tiling:
    """A tiling whose tiles take as long with empty rows as when they load all of them: each step of its pipeline has a fixed length."""
    if not profile.l2.bandwidth or profile.tensor is None:
        return cut
    loaded = 0.0
    for product in products:
        _, right, out = operand_bytes(product, width)
        rows = _tile_rows(product, tile_m, ragged)
        loaded += ceil(product.n / tile_n) * product.batch * rows * tile_m * product.k * width + rows * right + out
    cycles = loaded / (profile.l2.bandwidth * profile.achievable.l2)
    return replace(cut, slots=max(cut.slots, cycles * macs_per_cycle * profile.achievable.tensor))


def _tile_rows(product: MatrixProduct, tile_m: int, ragged: bool) -> float:
    """Tiles down the rows of one group."""
    return max(1.0, product.m / tile_m + 1 / 2) if ragged else ceil(product.m / tile_m)


def _scaled_shape(products: Sequence[MatrixProduct]) -> tuple[tuple[int, int], ...]:
    """The one tile that kernels for operands scaled in blocks are compiled for: half as high, and the lowest for very few rows."""
    few = sum(p.batch * p.m for p in products) <= FEW_ROWS * sum(p.batch for p in products)
    return GROUP_SHAPES[-1:] if few else GROUP_SHAPES[1:2]


def together(tilings: Sequence[Tiling]) -> Tiling:
    """Tilings of products that run one after the other."""
    return Tiling(*(sum(getattr(tiling, name) for tiling in tilings) for name in Tiling.__slots__))


def _grouped(products: Sequence[MatrixProduct], width: float, profile: Profile, tile_m: int, tile_n: int, ragged: bool) -> Tiling:
    processors = int(profile.die.multiprocessors)
    tiles = slots = l2_bytes = memory_bytes = 0.0
    for product in products:
        rows, columns = _tile_rows(product, tile_m, ragged), ceil(product.n / tile_n)
        mine = product.batch * rows * columns
        left, right, out = moved = operand_bytes(product, width)
        tiles += mine
        slots += mine * tile_m * tile_n * product.k
        l2_bytes += columns * left + rows * right + out
        memory_bytes += _memory_bytes(product, moved, processors, profile, tile_m, tile_n, ceil(mine / processors))
    rounds = ceil(tiles / processors)
    return Tiling(slots * rounds * processors / tiles, l2_bytes, memory_bytes, rounds, slots)


def _tiling(product: MatrixProduct, moved: Operands, profile: Profile, tile_m: int, tile_n: int, cluster: int) -> Tiling:
    processors = int(profile.die.multiprocessors) // cluster
    rows, columns = ceil(product.m / tile_m), ceil(product.n / tile_n)
    tiles = product.batch * rows * columns
    # with few tiles the library also cuts the k dimension and adds the parts
    split = max(1, min(int(processors // tiles) if tiles else 1, int(product.k // tile_m)))
    waves = ceil(tiles * split / processors)
    slots = waves * processors * tile_m * tile_n * product.k / split
    left, right, out = moved
    l2_bytes = columns * left + rows * right + out
    return Tiling(slots, l2_bytes, _memory_bytes(product, moved, processors, profile, tile_m, tile_n, waves))


def _memory_bytes(
    product: MatrixProduct, moved: Operands, processors: int, profile: Profile, tile_m: int, tile_n: int, waves: int
) -> float:
    """Operands are read once if they fit in L2 together; otherwise each wave of tiles reads its own rows and columns again."""
    left, right, out = moved
    if left + right <= product.batch * profile.l2.capacity:
        return left + right + out
    side = isqrt(processors)
    rows, columns = min(1, side * tile_m / product.m), min(1, side * tile_n / product.n)
    return max(left + right + out, waves * (rows * left + columns * right) / product.batch + out)


def operand_bytes(product: MatrixProduct, width: float) -> Operands:
    """Bytes of the m × k, the k × n and the m × n matrices of all the batch, in a format of `width` bytes."""
    held = width if product.held is None else product.held
    left, right, out = width * product.m * product.k, held * product.n * product.k, width * product.m * product.n
    return product.batch * left, product.batch * right, product.batch * out
