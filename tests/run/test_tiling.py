"""Matrix products cut into tiles."""

import math

from hypothesis import given
from hypothesis import strategies as st

from estimator.hardware.catalogue import load_profile
from estimator.model.work import MatrixProduct
from estimator.run.tiling import best_tiling, grouped_tiling

H100 = load_profile("h100-sxm")
SPEED = float(H100.tensor.fma_per_clock["bf16"] * H100.die.multiprocessors)
sizes = st.integers(1, 20000)


def tiled(product, width=2.0):
    return best_tiling(product, width, H100, SPEED)


@given(sizes, sizes, sizes, st.integers(1, 64))
def test_slots_hold_at_least_the_multiply_adds_and_every_operand_is_read_at_least_once(m, n, k, batch):
    tiling = tiled(MatrixProduct(batch, m, n, k))
    assert tiling.slots >= batch * m * n * k * (1 - 1e-9)
    compulsory = 2.0 * batch * (m * k + n * k + m * n)
    assert tiling.l2_bytes >= compulsory * (1 - 1e-9)
    assert tiling.memory_bytes >= compulsory * (1 - 1e-9)


@given(sizes, sizes, sizes)
def test_a_masked_product_occupies_its_share_of_the_slots(m, n, k):
    dense, half = tiled(MatrixProduct(1, m, n, k)), tiled(MatrixProduct(1, m, n, k, executed=0.5))
    assert half.slots <= dense.slots


def test_a_large_square_product_fills_the_chip():
    product = MatrixProduct(1, 8192, 8192, 8192)
    assert product.flop / 2 / tiled(product).slots > 0.9


def test_a_single_row_is_limited_by_reading_the_matrix():
    # one row times 4096 × 4096: 16.8 million weights of 2 bytes are 33.6 MB
    tiling = tiled(MatrixProduct(1, 1, 4096, 4096))
    assert math.isclose(tiling.l2_bytes, 2 * (4096 * 4096 + 2 * 4096), rel_tol=0.2)


def test_operands_beyond_the_cache_are_read_again_by_each_wave():
    small, large = MatrixProduct(1, 2048, 2048, 2048), MatrixProduct(1, 16384, 16384, 16384)
    assert math.isclose(tiled(small).memory_bytes, 2 * 3 * 2048**2, rel_tol=1e-9)
    assert tiled(large).memory_bytes > 2 * 3 * 16384**2


def grouped(products, ragged=False, profile=H100):
    return grouped_tiling(products, 2.0, profile, SPEED, ragged)


@given(st.integers(1, 200), st.integers(1, 4096), st.integers(1, 4096), st.integers(1, 4096))
def test_groups_hold_their_multiply_adds_and_ragged_ones_take_more(experts, rows, n, k):
    products = [MatrixProduct(experts, rows, n, k)]
    even, ragged = grouped(products), grouped(products, ragged=True)
    assert even.slots >= experts * rows * n * k * (1 - 1e-9)
    assert even.rounds >= 1
    assert ragged.slots >= even.slots * (1 - 1e-9) or rows % 128


@given(st.integers(1, 200), st.integers(1, 4096), st.integers(1, 4096), st.booleans())
def test_filled_slots_hold_the_rows_and_the_padding_of_tiles_but_no_idle_multiprocessors(experts, rows, n, ragged):
    cut = grouped([MatrixProduct(experts, rows, n, 64)], ragged)
    assert experts * rows * n * 64 * (1 - 1e-9) <= cut.filled <= cut.slots * (1 + 1e-9)


def test_one_row_for_each_expert_fills_whole_tiles():
    # 16 rows by 128 columns is the smallest tile: 15 of 16 rows are padding, and the weights pass for them all the same
    cut = grouped_tiling([MatrixProduct(8, 1, 1024, 4096)], 2.0, H100, SPEED, False, tile_rows=16)
    assert math.isclose(cut.filled, 8 * 16 * 1024 * 4096, rel_tol=1e-9)


def test_many_groups_share_the_last_wave():
    # 132 multiprocessors; a tile of 128 × 128 each: 66 experts of one tile and 66 of another are one wave, not two
    half = MatrixProduct(66, 128, 128, 4096)
    both = grouped([half, half])
    assert both.rounds == 1
    assert math.isclose(both.slots, 132 * 128 * 128 * 4096, rel_tol=1e-9)


def test_groups_read_more_from_the_cache_than_one_product_whose_tiles_are_shared():
    # 128 × 128 tiles: both operands pass (8192 / 128) times; 256 × 256 shared by two: (8192 / 256) times
    alone, shared = grouped([MatrixProduct(1, 8192, 8192, 8192)]), tiled(MatrixProduct(1, 8192, 8192, 8192))
    operand = 2.0 * 8192 * 8192
    assert math.isclose(alone.l2_bytes, (2 * 64 + 1) * operand, rel_tol=1e-9)
    assert math.isclose(shared.l2_bytes, (2 * 32 + 1) * operand, rel_tol=1e-9)


def test_rows_of_one_group_fill_half_a_tile_more_on_average():
    # 300 rows in tiles of 128: 2.84 tiles on average over all remainders, not 2.34
    ragged = grouped([MatrixProduct(132, 300, 128, 4096)], ragged=True)
    assert math.isclose(ragged.slots, math.ceil(300 / 128 + 0.5) * 132 * 128 * 128 * 4096, rel_tol=1e-9)


@given(st.integers(1, 128), st.sampled_from([H100, load_profile("B200")]))
def test_a_tile_of_fixed_size_takes_as_long_with_few_rows_as_with_all(rows, profile):
    few, full = (grouped_tiling([MatrixProduct(132, m, 1024, 4096)], 2.0, profile, SPEED, False, tile_rows=128) for m in (rows, 128))
    assert math.isclose(few.slots, full.slots, rel_tol=0.02)  # but for the result that it writes
    assert few.l2_bytes <= full.l2_bytes


def test_scaled_groups_have_one_tile_and_the_lowest_for_few_rows():
    # 64 rows where 128 would do, so the weights pass twice as often; 16 for 64 tokens that choose 8 of 256 experts
    scaled = grouped_tiling([MatrixProduct(1, 128, 8192, 4096)], 1.0, H100, SPEED, False, scaled=True)
    assert math.isclose(scaled.l2_bytes, 64 * 128 * 4096 + 2 * 8192 * 4096 + 128 * 8192, rel_tol=1e-9)
    few = grouped_tiling([MatrixProduct(256, 2, 128 * 132, 4096)], 1.0, H100, SPEED, False, scaled=True)
    assert math.isclose(few.slots, 256 * 16 * 128 * 132 * 4096, rel_tol=1e-9)
