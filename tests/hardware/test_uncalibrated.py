"""A part without calibration still holds what was published of it within its 90 % interval, from physics and structure alone."""

import pytest

from estimator.hardware.catalogue import list_profiles, load_profile
from estimator.hardware.power import idle_power
from estimator.hardware.schema import Profile
from estimator.hardware.uncalibrated import WORDS
from estimator.quantity import Quantity
from estimator.run.uncertainty_propagation import propagate, propagate_idle
from estimator.validation import chip
from estimator.validation.check import published

ROWS = {row["hw"]: row for row in published()["chip"] if row["hw"] not in ("t4", "p100-pcie")}
SAMPLES = 512
CALIBRATED = {
    "clock": ("tree_capacitance", "gated_share", "voltage_floor", "voltage_at_boost", "threshold_voltage"),
    "register_file": ("bit_capacitance",),
    "shared_memory": ("bit_capacitance",),
    "l2": ("bit_capacitance",),
    "memory": ("controller_capacitance",),
    "instruction": ("capacitance",),
    "process": ("leakage",),
    "power": ("board", "regulator_efficiency"),
    "thermal": ("resistance",),
    "achievable": ("tensor", "vector", "memory", "l2"),
}


def test_the_published_parts_span_generations():
    assert {"v100-sxm2-16gb", "a100-sxm-40gb", "h100-sxm", "b200-sxm", "a40"} <= set(ROWS)


@pytest.mark.parametrize("name", ROWS)
def test_idle_matrix_product_and_stream_lie_within_the_interval(name):
    # no structural error is added: the ranges of physics alone must hold the published figures
    part, row = load_profile(name).uncalibrated(), ROWS[name]
    low, high = propagate_idle(part, {}, SAMPLES, shares=False).interval(0.9, "power")
    assert idle_power(part) * low <= row["idle"]["value"] <= idle_power(part) * high
    if "stream" in row:
        assert holds(chip.stream_phase(part.at(activity=row["stream"].get("operands", "random"))), row["stream"]["value"])
    number_format = row.get("gemm_rate", {}).get("format", "bf16")
    assert holds(chip.gemm_phase(part, number_format), float(part.power.limit))  # published: at the cap


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if "gemm_rate" in row])
def test_the_rate_of_a_matrix_product_lies_within_the_interval(name):
    part, published_rate = load_profile(name).uncalibrated(), ROWS[name]["gemm_rate"]
    phase = chip.gemm_phase(part, published_rate["format"])
    short, long = propagate([phase], {}, SAMPLES, shares=False).interval(0.9, "time")
    rate = chip.gemm(part, published_rate["format"]).rate
    assert rate / long <= published_rate["value"] <= rate / short


def holds(phase, watts: float) -> bool:
    low, high = propagate([phase], {}, SAMPLES, shares=False).interval(0.9, "power")
    return phase.point.power * low <= watts <= phase.point.power * high * (1 + 1e-9)


def test_the_interval_says_something():
    # a stream at a third of the predicted power, or an idle part at a quarter of the cap, would be outside
    part = load_profile("a100-sxm-40gb").uncalibrated()
    phase = chip.stream_phase(part)
    assert not holds(phase, phase.point.power / 3)
    high = propagate_idle(part, {}, SAMPLES, shares=False).interval(0.9, "power")[1]
    assert idle_power(part) * high < 0.4 * part.power.limit


@pytest.mark.parametrize("name", list_profiles())
def test_nothing_of_the_calibration_is_left(name):
    profile = load_profile(name)
    sections = {
        section: getattr(profile, section).model_copy(update={key: moved(getattr(getattr(profile, section), key)) for key in keys})
        for section, keys in CALIBRATED.items()
    }
    other = profile.model_copy(update=sections)
    one, two = profile.uncalibrated(), other.uncalibrated()
    assert one.quantities() == two.quantities() and one != profile
    Profile.model_validate(one.model_dump())  # still a part that can be


def moved(quantity: Quantity) -> Quantity:
    return quantity.scaled(1.01, "moved")


def test_counts_and_limits_stay_and_the_report_is_told():
    h100 = load_profile("H100")
    bare = h100.uncalibrated()
    assert (bare.die, bare.links, bare.power.limit) == (h100.die, h100.links, h100.power.limit)
    assert bare.memory.bandwidth == h100.memory.bandwidth
    assert bare.name == "NVIDIA H100 SXM5 80GB, uncalibrated" and bare.what_if == (f"what-if: {WORDS}",)


def test_standing_power_of_memory_on_the_board_is_generic_and_of_stacks_their_idle_power():
    # A40: 695.8 GB/s × 8 bit × 6 pJ/bit = 33 W
    assert load_profile("a40").uncalibrated().memory.clocked_power == pytest.approx(33.4, rel=0.01, abs=0)
    assert load_profile("A100").uncalibrated().memory.clocked_power is None
