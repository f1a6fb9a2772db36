"""Loaders: what the device waits for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator import load_profile
from estimator.errors import UnknownName
from estimator.model.work import Kernel, Signature, TensorSpec
from estimator.run.input import Loader, loader_of, waiting
from estimator.run.repeat import seconds
from estimator.run.stack import load_stack
from estimator.run.training import training_phases

V100, EAGER = load_profile("V100"), load_stack("eager")


@given(st.integers(1, 4096), st.floats(1e-6, 1e-2), st.integers(1, 64), st.floats(1e-4, 1))
def test_more_workers_never_make_the_device_wait_longer(batch, sample, workers, step):
    few, many = (Loader(sample, n, 1.0).wait(batch, step, 100) for n in (workers, workers + 1))
    assert 0 < many <= few


def test_a_loader_that_keeps_up_costs_its_start_and_its_first_batch():
    # 100 samples of 1 ms on 4 workers take 25 ms, less than a step; the start of 2 s and the first batch of 0.1 s fall on 10 steps
    assert Loader(1e-3, 4, 2.0).wait(100, 0.03, 10) == pytest.approx(0.21, rel=1e-12, abs=0)


def test_a_slow_loader_sets_the_pace():
    # 100 samples of 1 ms on 4 workers take 25 ms: 5 ms more than a step, beside a start that a million steps share
    assert Loader(1e-3, 4, 0.0).wait(100, 0.02, 1e6) == pytest.approx(0.005 + 1e-7, rel=1e-9, abs=0)


def test_kinds_of_samples_are_data():
    assert loader_of("picture_224").sample_seconds > loader_of("picture_32").sample_seconds > loader_of("text").sample_seconds
    with pytest.raises(UnknownName, match="kind of sample"):
        loader_of("smell")


def test_waiting_takes_its_time_at_little_power():
    phase = waiting(2.0, V100, EAGER)
    assert seconds(phase) == pytest.approx(2, rel=1e-12, abs=0)
    assert phase.point.power < 0.5 * V100.power.limit


def test_the_host_runs_ahead_so_a_step_takes_the_longer_of_launching_and_running():
    def copies(count, elements):
        spec = TensorSpec((elements,), "fp32")
        signature = Signature("aten.clone", (("self", spec), ("memory_format", None)), (spec,))
        return Kernel("aten.clone", "copy", "forward", "", (signature,), count=count)

    small, large = copies(1000, 16), copies(10, 2**26)
    both, alone = (sum(map(seconds, training_phases(kernels, 1, V100, EAGER))) for kernels in ([small, large], [small]))
    step = float(EAGER.step_overhead)
    assert alone == pytest.approx(1000 * float(EAGER.launch_interval) + step, rel=1e-9, abs=0)  # launching is slower than running
    running = 1000 * float(EAGER.kernel_overhead)
    assert both < running + 10 * 2 * 4 * 2**26 / (0.7 * float(V100.memory.bandwidth)) + step  # the large copies hide it
