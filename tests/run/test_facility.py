"""What stands around the devices, and what it draws."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator import estimate, load_profile
from estimator.errors import InvalidSetting, UnknownName
from estimator.hardware.cluster import load_cluster
from estimator.hardware.host import load_host
from estimator.run.facility import Facility
from estimator.run.meter import host_parts, meter_of

H100 = load_profile("H100")
WALL = Facility(place="wall")


def footprint(energy, time, devices, profile, facility, cluster=None):
    return meter_of(profile, devices, facility, cluster).read(energy, time)


@given(st.floats(100, 5000), st.floats(1, 1e6))
def test_the_meter_reads_more_than_the_devices_and_scales_with_time(power, time):
    one = footprint(power * time, time, 8, H100, WALL)
    two = footprint(2 * power * time, 2 * time, 8, H100, WALL)
    assert one.energy > power * time
    assert two.energy == pytest.approx(2 * one.energy, rel=1e-9, abs=0)


@given(st.floats(1, 2))
def test_usage_effectiveness_multiplies_everything(pue):
    plain, cooled = (footprint(8 * 600 * 10, 10, 8, H100, Facility(pue=x)) for x in (1, pue))
    assert cooled.energy == pytest.approx(pue * plain.energy, rel=1e-9, abs=0)


def test_servers_are_shared_by_the_devices_they_hold():
    one, eight = (footprint(n * 600.0, 1.0, n, H100, WALL) for n in (1, 8))
    assert eight.energy == pytest.approx(8 * one.energy, rel=1e-9, abs=0)


def test_switches_are_counted_beyond_one_node():
    cluster = load_cluster("dgx-h100")
    alone, many = (footprint(n * 600.0, 1.0, n, H100, WALL, cluster) for n in (8, 512))
    assert alone.parts["switches"] == 0
    # 512 ports on switches of 64: two levels, three switch ports for each port of a device
    assert many.parts["switches"] == pytest.approx(512 * 3 * float(cluster.port_power), rel=1e-9, abs=0)


def test_carbon_water_and_cost_follow_the_kilowatt_hours():
    given_ = footprint(3.6e9, 1e5, 8, H100, Facility(pue=1.25, grid=400.0, wue=2.0, price=0.2))
    assert given_.co2e_kg == pytest.approx(given_.kwh * 0.4, rel=1e-12, abs=0)
    assert given_.water_l == pytest.approx(given_.kwh / 1.25 * 2, rel=1e-12, abs=0)
    assert given_.cost == pytest.approx(given_.kwh * 0.2, rel=1e-12, abs=0)


def test_an_idle_node_of_eight_draws_what_was_measured():
    # MLPerf power logs: 2.1 kW at the wall of an immersed node between runs, its devices at some 70 to 120 W
    host = load_host("hgx-h100-liquid")
    devices = 8 * 100
    assert devices + sum(host_parts(host, devices).values()) == pytest.approx(2100, rel=0.25, abs=0)


def test_an_estimate_carries_its_facility_through_json():
    answer = estimate("gpt2", "H100", facility="hyperscale")
    assert type(answer).from_json(answer.to_json()).facility == answer.facility
    assert answer.facility.host == "NVIDIA DGX H100"
    assert "at the meter" in answer.table()


def test_unknown_places_and_impossible_figures_are_refused():
    with pytest.raises(UnknownName, match="place"):
        Facility(place="moon")
    with pytest.raises(UnknownName, match="grams of CO2e"):
        Facility(grid="atlantis")
    with pytest.raises(InvalidSetting, match="at least 1"):
        Facility(pue=0.9)
