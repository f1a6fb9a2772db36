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
