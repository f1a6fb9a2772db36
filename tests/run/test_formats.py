"""Number formats find the unit that runs them."""

import pytest

from estimator.hardware.catalogue import load_profile
from estimator.run.formats import lane_format, matrix_unit

CASES = [
    ("h100-sxm", "bf16", ("tensor", "bf16")),
    ("h100-sxm", "fp8_e4m3", ("tensor", "fp8")),
    ("h100-sxm", "fp32", ("vector", "fp32")),
    ("h100-sxm", "tf32", ("tensor", "tf32")),
    ("v100-sxm2-16gb", "bf16", ("tensor", "fp16")),  # Volta's tensor cores know fp16 only
    ("v100-sxm2-16gb", "tf32", ("vector", "fp32")),
    ("a100-sxm-80gb", "fp8_e5m2", ("tensor", "bf16")),  # Ampere has no fp8: widened
    ("p100-pcie", "fp16", ("vector", "fp16")),  # no tensor cores at all
    ("p100-pcie", "fp64", ("vector", "fp64")),
]


@pytest.mark.parametrize(("hw", "given", "expected"), CASES)
def test_a_format_runs_where_the_chip_knows_it_or_a_wider_one(hw, given, expected):
    assert matrix_unit(given, load_profile(hw)) == expected


def test_elementwise_arithmetic_is_done_in_fp32_unless_it_is_double():
    assert lane_format("bf16") == "fp32"
    assert lane_format("fp64") == lane_format("complex128") == "fp64"
