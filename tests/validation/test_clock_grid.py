"""Power over clock of one card with two benchmarks, as published, and the clock at which each takes least energy."""

import pytest

from estimator.validation.microbench import predict
from estimator.validation.rows import Row

# giordano/gpu-power-frequency-benchmarks, A100 PCIe 80 GB, cap 300 W: W and s of a run by clock in MHz
GRID = {
    "babelstream": {1005: (145.1, 22.60), 1110: (155.3, 22.54), 1200: (169.9, 22.49), 1305: (190.0, 22.55), 1410: (228.0, 22.62)},
    "pi-solver": {1005: (135.2, 16.35), 1110: (152.4, 15.00), 1200: (179.2, 13.86), 1305: (225.0, 12.74), 1410: (296.0, 11.84)},
}


def predicted(operation: str, clock: int):
    columns = {"row_id": "r", "kind": "microbench", "op": operation, "hardware": "NVIDIA A100-PCIe (300 W)", "unit": "run"}
    return predict(Row("grid", 1, columns | {"power_limit_w": "300", "clock_limit_mhz": str(clock)}))


@pytest.mark.parametrize(("operation", "clock"), [(operation, clock) for operation, grid in GRID.items() for clock in grid])
def test_power_at_a_clock_is_the_published_one(operation, clock):
    assert predicted(operation, clock).power == pytest.approx(GRID[operation][clock][0], rel=0.15, abs=0)


@pytest.mark.parametrize("operation", GRID)
def test_least_energy_is_taken_at_the_published_clock(operation):
    measured = {clock: watts * seconds for clock, (watts, seconds) in GRID[operation].items()}
    ours = {}
    for clock in measured:
        found = predicted(operation, clock)
        ours[clock] = found.power * sum(entry.time for phase in found.phases for entry in phase.entries)
    best, published = min(ours, key=ours.__getitem__), min(measured, key=measured.__getitem__)
    assert best == pytest.approx(published, rel=0.15, abs=0)
    assert ours[1410] / ours[best] == pytest.approx(measured[1410] / measured[published], rel=0.15, abs=0)


# sinkers/gpu-power-lab, B300: products of 8192³ in bf16, both operands one byte throughout; TFLOP/s by power limit in W
CAPPED = {450: 1089.5, 550: 1346.5, 700: 1692.2, 900: 2079.8, 1100: 2197.3}


@pytest.mark.parametrize("limit", CAPPED)
def test_rate_of_constant_operands_under_a_cap_is_the_published_one(limit):
    columns = {"row_id": "r", "kind": "microbench", "op": "powervirus", "hardware": "NVIDIA B300 SXM6 AC", "unit": "iteration"}
    given = columns | {"power_limit_w": str(limit), "precision": "bf16", "size": "8192", "flops": "1.0995e12"}
    assert 2 * 8192**3 / predict(Row("cap", 1, given)).time == pytest.approx(CAPPED[limit] * 1e12, rel=0.15, abs=0)
