"""Cards of 60 to 150 W, whose caps set their rate: int8 products against what whole networks sustained on them.

MLPerf Inference power submissions of Dell (offline, every card at its cap). ResNet-50 takes 4.1 G multiply-adds an image, which
is 8.2 G operations; SSD-ResNet34 at 1200 × 1200 takes 433 G operations. Most of both are matrix products, so these cannot run
much slower than the networks do, nor, since the cap is the same, much faster.
"""

import pytest

from estimator.hardware.catalogue import load_profile
from estimator.validation.chip import gemm, idle_with_context

RESNET, SSD = 8.2e9, 433e9
SUSTAINED = {
    "t4": (5827 * RESNET + 139 * SSD) / 2,  # 47.8 and 60.2 T operations/s
    "a10": (14443 * RESNET + 320 * SSD) / 2,  # 118 and 139
    "a2": 3013 * RESNET,  # 24.7
}


@pytest.mark.parametrize("name", SUSTAINED)
def test_the_cap_leaves_the_rate_that_networks_sustain(name):
    found = gemm(load_profile(name), "int8", side=4096)
    assert found.capped
    assert found.rate == pytest.approx(SUSTAINED[name], rel=0.30, abs=0)


def test_leakage_of_the_t4_over_temperature_is_what_was_read():
    # with a process attached: 26 W at 43 °C and 27 W at 34 °C, 33 W at 75 °C (nvidia-smi), so 6.5 W more over 36 K at the board
    t4 = load_profile("t4")
    cool, hot = (idle_with_context(t4.at(temperature=f"{celsius} degC")).power for celsius in (39, 75))
    assert hot - cool == pytest.approx(6.5, rel=0.35, abs=0)


# the best of square products in bf16, TFLOP/s, all at their caps (public benchmarks; NVIDIA aiconfigurator for L40S and RTX PRO 6000)
PRODUCTS = {"l4": 70.9, "l40s": 278.0, "rtx-pro-6000": 418.0}


@pytest.mark.parametrize("name", PRODUCTS)
def test_large_tiles_spare_the_second_level_cache_whose_bits_would_take_the_cap(name):
    found = gemm(load_profile(name), "bf16")
    assert found.capped
    assert found.rate == pytest.approx(PRODUCTS[name] * 1e12, rel=0.30, abs=0)
