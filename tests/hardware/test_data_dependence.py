"""Zeros against random operands, as published: the same work on the same part draws less, or runs faster under the same cap."""

import math

import pytest

from estimator.hardware.catalogue import load_profile
from estimator.hardware.demand import Demand
from estimator.hardware.events import count_events
from estimator.hardware.operating_point import Load, elapsed, settle
from estimator.hardware.roofline import duration
from estimator.validation.chip import gemm


def near(predicted, published):
    return math.isclose(predicted, published, rel_tol=0.20)


def test_a_capped_a100_multiplies_zeros_faster_than_random_numbers():
    # He, "Strangely, matrix multiplications on GPUs run faster when given predictable data", 2024: 8192³ in bf16, capped at 330 W
    capped = load_profile("a100-sxm-40gb").at(power_limit=330)
    random, zeros = (gemm(capped.at(activity=operands)) for operands in ("random", "zeros"))
    assert near(random.rate, 257e12)
    assert near(zeros.rate, 295e12)
    assert random.capped and not zeros.capped


def test_double_precision_products_on_a100_swing_as_measured():
    # Bhalachandra et al., arXiv:2212.08805: up to 67 % more power for the same DGEMM, by its operands
    free = load_profile("a100-sxm-40gb").at(power_limit=1000)
    random, zeros = (gemm(free.at(activity=operands), "fp64").power for operands in ("random", "zeros"))
    assert near(random / zeros, 1.67)


def test_an_h100_card_multiplies_zeros_far_below_its_cap_and_meets_it_with_random_numbers():
    # Luo et al., arXiv:2402.13499, wgmma on an H800 PCIe: below 200 W at 729 TFLOP/s with zeros, at the cap of 350 W with random
    card = load_profile("h100-pcie")
    loop = Demand(macs=1e15, mac_slots=1e15, mac_format="fp16")
    points = {}
    for operands in ("zeros", "random"):
        part = card.at(activity=operands)
        work = [Load(1.0, count_events(loop, part), duration(loop, part))]
        points[operands] = settle(part, work)
        if operands == "zeros":
            assert near(2e15 / elapsed(work, points[operands]), 729e12)
    assert points["zeros"].power < 200 * 1.20
    assert points["random"].capped
    assert points["random"].power == pytest.approx(350, rel=1e-6, abs=0)


@pytest.mark.parametrize("name", ["v100-sxm2-16gb", "a100-sxm-80gb", "h100-sxm", "h200-sxm", "b200-sxm"])
def test_every_generation_draws_less_or_runs_faster_with_zeros(name):
    part = load_profile(name)
    random, zeros = (gemm(part.at(activity=operands), "fp16") for operands in ("random", "zeros"))
    assert zeros.power / zeros.rate < 0.9 * random.power / random.rate


def test_an_h200_spends_on_constant_and_on_random_operands_what_was_measured():
    # NVIDIA aiconfigurator, bf16 products on H200: 509 W at 818 TFLOP/s where buffers hold nearly constant data, else 691 W at
    # 690 to 748 TFLOP/s, the cap. Joules per FLOP, since the cap sets the rate of the second.
    constant, random = (gemm(load_profile("h200-sxm").at(activity=operands)) for operands in ("ones", "random"))
    assert near(constant.power / constant.rate, 509 / 818e12)
    assert near(random.power / random.rate, 691 / 719e12)
    assert random.capped and not constant.capped
