"""One row on a simulated card: what went in comes out, whatever the sensors lag."""

import sys

import pytest
from pytest import approx

from estimator.errors import InvalidSetting
from estimator.measurement.meters import open_meter
from estimator.measurement.window import Plan, measure_row
from estimator.validation.rows import Row
from tests.measurement.card import Card
from tests.measurement.fake_nvml import FakeNvml
from tests.measurement.session import Queued


class Bench:
    """Calls of `seconds` at `watts`."""

    def __init__(self, card, seconds, watts):
        self.card, self.seconds, self.watts = card, seconds, watts

    def prepare(self, row):
        return lambda count: Queued(self.card, self.card.work(count * row.whole("loops", 1) * self.seconds, self.watts, 1.7e9))

    def now(self):
        return self.card.now

    def sleep(self, seconds):
        self.card.now += seconds

    def release(self):
        pass


def measured(monkeypatch, seconds, watts, card=None, plan=None, loops=1):
    card = card or Card()
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml(card))
    row = Row("t.csv", 0, {"row_id": "t", "loops": str(loops)})
    return measure_row(row, Bench(card, seconds, watts), open_meter("nvidia"), plan or Plan())


@pytest.mark.parametrize("sensor", ["part-time", "average"])
@pytest.mark.parametrize("step", [0.02, 0.1])
@pytest.mark.parametrize("seconds", [2e-6, 3e-4, 0.03, 0.4])
def test_energy_time_and_power_come_out_as_they_went_in(monkeypatch, seconds, step, sensor):
    found = measured(monkeypatch, seconds, 500.0, Card(sensor=sensor, step=step))
    assert found.power == approx(500, rel=0.01, abs=0)
    assert found.time == approx(seconds, rel=0.01, abs=0)
    assert found.energy == approx(500 * seconds, rel=0.015, abs=0)
    assert found.sensor_power == approx(500, rel=0.02, abs=0)
    assert found.core_clock == 1.7e9
    assert found.steady
    assert len(found.windows) == 3
    assert all(window.seconds >= 2 * 0.99 for window in found.windows)


def test_calls_of_one_launch_are_counted_one_by_one(monkeypatch):
    assert measured(monkeypatch, 3e-6, 300.0, loops=64).time == approx(3e-6, rel=0.01, abs=0)


def test_a_call_longer_than_a_window_makes_the_window_longer(monkeypatch):
    found = measured(monkeypatch, 3.0, 400.0, plan=Plan(repeats=2))
    assert found.time == approx(3.0, rel=0.01, abs=0)
    assert found.power == approx(400.0, rel=0.01, abs=0)
    assert all(window.calls >= 4 for window in found.windows)


def test_windows_that_differ_are_called_unsteady(monkeypatch):
    found = measured(monkeypatch, 1e-3, 500.0, Card(drift=1.0))  # power doubles in a minute
    assert not found.steady
    assert found.power_spread > 5.0


def test_the_device_is_never_left_without_work_while_the_meter_is_read(monkeypatch):
    card = Card(idle=0.0)
    measured(monkeypatch, 1e-3, 500.0, card)
    # from the moment of its first steady stretch the card drew 500 W all the time: reading takes 0.3 ms a query, and 2 % is not lost
    assert card.drawn(8.0) - card.drawn(0.5) == approx(500 * 7.5, rel=1e-3, abs=0)


@pytest.mark.parametrize("given", [{"warmup": 0.0}, {"window": -1.0}, {"repeats": 0}])
def test_a_plan_needs_time(given):
    with pytest.raises(InvalidSetting, match=f"{next(iter(given))}="):
        Plan(**given)
