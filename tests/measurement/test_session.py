"""`with estimator.measure(…) as m:`: measured beside predicted, around a user's own code."""

import time

import pytest
import torch
from pytest import approx

import estimator
from estimator import Training, load_profile
from estimator.errors import EstimatorError, InvalidSetting, UnknownName
from estimator.measurement.meter import MeterError
from tests.measurement.steady import SteadyMeter


@pytest.mark.parametrize("counts", [True, False])
def test_without_a_model_it_only_measures(counts):
    meter = SteadyMeter(watts=200.0, counts=counts)
    with estimator.measure(meter=meter) as m:
        time.sleep(0.4)
    assert m.time == approx(0.4, rel=0.25, abs=0)
    assert m.energy == approx(200 * m.time, rel=0.05, abs=0)
    assert m.power == approx(200, rel=0.05, abs=0)
    assert m.predicted is None and m.errors == {}
    assert meter.closed
    assert str(m).startswith("measured on NVIDIA H200\nenergy")
    assert "short for a sensor" in str(m)


def test_a_users_own_loop_is_predicted_before_and_compared_after():
    net = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))
    batch = torch.randn(32, 64)
    optimizer = torch.optim.AdamW(net.parameters())
    with estimator.measure(net, inputs=batch, run=Training(steps=20), meter=SteadyMeter(watts=130.0)) as m:
        assert m.predicted is not None  # before the first step
        for _ in range(20):
            net(batch).sum().backward()
            optimizer.step()
            optimizer.zero_grad()
        time.sleep(0.1)
    assert m.predicted.steps == 20
    assert m.predicted.energy == estimator.estimate(net, hw="H200", inputs=batch, run=Training(steps=20)).energy
    assert m.errors["energy"] == approx(m.predicted.energy / m.energy - 1, rel=1e-9, abs=0)
    assert set(m.errors) == {"energy", "time", "power"}
    for part in ("on NVIDIA H200", "measured", "predicted", "error", "90 % interval of the prediction"):
        assert part in str(m)


def test_the_cap_in_force_is_the_one_that_is_predicted():
    meter = SteadyMeter()
    meter.limit = lambda: 300.0
    with estimator.measure("gpt2", meter=meter) as m:
        time.sleep(0.05)
    assert max(phase.point.power for phase in m.predicted.phases) == approx(300.0, rel=1e-6, abs=0)


def test_figures_are_not_told_before_the_block_has_ended():
    with estimator.measure(meter=SteadyMeter()) as m:
        assert str(m) == "measuring on NVIDIA H200"
        with pytest.raises(EstimatorError, match="no energy yet: it is known when the `with` block has ended"):
            m.energy  # noqa: B018


def test_an_error_inside_the_block_passes_and_the_meter_is_let_go():
    meter = SteadyMeter()
    with pytest.raises(ZeroDivisionError):
        with estimator.measure(meter=meter) as m:
            1 / 0  # noqa: B018
    assert meter.closed
    with pytest.raises(EstimatorError, match="no energy yet"):
        m.energy  # noqa: B018


def test_a_device_that_the_catalogue_does_not_know_has_to_be_named():
    meter = SteadyMeter(called="NVIDIA Q900")
    with pytest.raises(UnknownName, match=r"unknown .*'NVIDIA Q900'.*say which profile stands for this device: measure\(…, hw='H100'\)"):
        with estimator.measure("gpt2", meter=meter):
            pass
    assert meter.closed
    with estimator.measure("gpt2", hw="H100", meter=SteadyMeter(called="NVIDIA Q900")) as m:
        time.sleep(0.05)
    assert m.predicted.hardware == load_profile("H100").name


def test_other_processes_are_told():
    with estimator.measure(meter=SteadyMeter(strangers=["process 7"])) as m:
        time.sleep(0.05)
    assert "other processes on the device, whose joules are counted in: process 7" in str(m)


def test_a_counter_that_stands_still_is_an_error():
    meter = SteadyMeter(stuck=True)
    with pytest.raises(MeterError, match="stands still"):
        with estimator.measure(meter=meter):
            pass


def test_settings_without_a_model_are_refused():
    with pytest.raises(InvalidSetting, match="inputs, run and stack describe a model's run"):
        estimator.measure(run=Training(steps=3))
