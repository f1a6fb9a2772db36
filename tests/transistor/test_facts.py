"""Published numbers are read with their source, and a fault names its file and key."""

import pytest

from estimator.errors import InvalidSetting, ProfileError
from estimator.facts import leaves, load_facts, profiles_dir, read_facts
from estimator.quantity import Quantity, read_quantity

FILES = sorted({path.stem for path in (profiles_dir() / "physics").glob("*.toml")} - {"calibration"})  # names constants, holds none


def test_defaults_of_a_table_reach_the_numbers_below_it():
    text = 'source = "paper"\nstatus = "derived"\n[a]\nunit = "pJ"\n[a.b]\nx = 2\ny = { value = 3, unit = "fJ", source = "other" }'
    facts = read_facts(text, "physics/test")
    x, y = facts["a"]["b"]["x"], facts["a"]["b"]["y"]
    assert (x, x.unit, x.source, x.status) == (pytest.approx(2e-12, rel=1e-12, abs=0), "J", "paper", "derived")
    assert (y, y.source) == (pytest.approx(3e-15, rel=1e-12, abs=0), "other")


def test_celsius_become_kelvin():
    assert read_facts('t = { value = 80, unit = "degC" }', "x")["t"] == pytest.approx(353.15, rel=1e-12, abs=0)


def test_an_area_prefix_is_squared():
    assert read_quantity("2 um2", "m2") == pytest.approx(2e-12, rel=1e-12, abs=0)


def test_a_file_inherits_and_overrides():
    facts = read_facts('inherits = "n5"\n[process]\nname = "mine"\nnode_nm = 2', "node/mine")
    assert facts["process"]["name"] == "mine" and facts["process"]["node_nm"] == 2
    assert facts["process"]["wire_capacitance"] == load_facts("node/n5")["process"]["wire_capacitance"]


@pytest.mark.parametrize("name", FILES)
def test_every_number_of_the_physics_files_has_a_source(name):
    found = leaves(load_facts(f"physics/{name}"))
    assert found and not [path for path, value in found.items() if not value.source]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('a = { value = 1, unit = "parsec" }', r"physics/x\.toml: a: unknown unit 'parsec'"),
        ("a = { value = 1, low = 2, high = 3 }", r"physics/x\.toml: a: the value 1 lies outside its own range"),
        ("a = { value = 1, color = 2 }", r"physics/x\.toml: a: unknown key \['color'\]"),
        ('a = { value = 1, status = "guessed" }', r"physics/x\.toml: a: unknown status 'guessed'; one of datasheet, measured"),
        ("a = { value = true }", r"physics/x\.toml: a: True is no number"),
    ],
)
def test_a_fault_names_its_file_and_key(text, complaint):
    with pytest.raises(ProfileError, match=complaint):
        read_facts(text, "physics/x")


def test_a_missing_file_says_where_it_was_looked_for():
    with pytest.raises(ProfileError, match=r"no file 'nothing\.toml' in .*physics"):
        load_facts("physics/nothing")


def test_a_quantity_of_another_dimension_is_refused():
    with pytest.raises(InvalidSetting, match="wrong unit 'V': expected 'Hz'"):
        read_quantity("3 V", "Hz")


def test_a_number_that_was_read_before_takes_the_unit_that_is_asked_for_and_no_other():
    plain, volt = read_quantity({"value": 8, "low": 5, "high": 9}, "1"), read_quantity(3, "V")
    assert (read_quantity(plain, "B/clock").unit, read_quantity(plain, "B/clock").low) == ("B/clock", 5)
    with pytest.raises(InvalidSetting, match="wrong unit 'V': expected 'Hz'"):
        read_quantity(volt, "Hz")


def test_a_quantity_calculates_as_a_float():
    volt = read_quantity({"value": 800, "unit": "mV", "low": 700, "high": 900, "source": "s", "status": "measured"}, "V")
    assert volt**2 == pytest.approx(0.64, rel=1e-12, abs=0)
    assert (volt.low, volt.high) == pytest.approx((0.7, 0.9), rel=1e-12, abs=0)
    assert isinstance(volt.scaled(2, "doubled"), Quantity) and volt.scaled(2, "doubled").status == "derived"
