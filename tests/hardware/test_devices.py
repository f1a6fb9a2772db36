"""What the catalogue says about each device agrees with what is published, with its node and with itself."""

import math
import re
import tomllib
from pathlib import Path

import pytest

from estimator.hardware import catalogue
from estimator.hardware.catalogue import list_profiles, load_profile
from estimator.hardware.events import BITS_PER_BYTE
from estimator.hardware.inheritance import PARTS, TEXT
from estimator.hardware.power import idle_power
from estimator.model.work import BYTES
from estimator.run.formats import ARITHMETIC
from estimator.transistor.delay import clock_frequency, gain_through
from estimator.units import to_si

ROOT = catalogue.profiles_dir()
PEAKS = tomllib.loads((Path(__file__).parent / "published_peaks.toml").read_text(encoding="utf-8"))
FILES = sorted(path for part in ("family", "memory", "link", "device") for path in (ROOT / part).glob("*.toml"))
FORMATS = set(BYTES) | set(ARITHMETIC.values()) | {"int4"}


def raw(path: Path) -> dict:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def inherited(path: Path) -> dict:
    return catalogue.inherited(raw(path), path.name, path.parent)


def numbers(table: dict, prefix: str = "") -> dict[str, tuple]:
    """Every number of a raw table by dotted path as (value, unit, low, high)."""
    found = {}
    for key, value in table.items():
        if key in TEXT | {"inherits", "source", "status"}:
            continue
        if isinstance(value, dict) and "value" not in value:
            found |= numbers(value, f"{prefix}{key}.")
        else:
            leaf = value if isinstance(value, dict) else {"value": value}
            amount, _, unit = str(leaf["value"]).partition(" ")
            found[prefix + key] = (float(amount), unit or leaf.get("unit"), leaf.get("low"), leaf.get("high"))
    return found


def si(number: tuple, unit: str) -> float:
    return to_si(number[0], number[1] or unit, unit)


def test_every_device_has_published_peaks():
    assert set(PEAKS) == set(list_profiles())


def quoted_clock(name: str, unit: str, number_format: str) -> float:
    """The clock at which the vendor quotes a peak: the highest one, save where the datasheet has two."""
    two = PEAKS[name].get("clock", {})
    at_boost = unit == "vector" or number_format == "fp64" or number_format in two.get("at_boost", ())
    return load_profile(name).clock.boost if at_boost else two.get("tensor", load_profile(name).clock.boost)


@pytest.mark.parametrize("name", list_profiles())
def test_peak_rates_are_the_published_ones(name):
    # peak = multiprocessors × multiply-adds per clock × 2 × clock
    profile, published = load_profile(name), PEAKS[name]
    for unit in ("vector", "tensor"):
        for number_format, peak in published.get(unit, {}).items():
            rate = getattr(profile, unit).fma_per_clock[number_format]
            ours = profile.die.multiprocessors * rate * 2 * quoted_clock(name, unit, number_format)
            tolerance = published.get("rounded", {}).get(number_format, 0.03)
            assert math.isclose(ours, peak, rel_tol=tolerance), f"{unit} {number_format}: {ours:.4g} against {peak:.4g}"


def test_known_exceptions_say_why_and_stay_small():
    for name, peaks in PEAKS.items():
        if "clock" in peaks:
            assert peaks["clock"]["reason"]
            quoted = peaks["clock"]["tensor"] / load_profile(name).clock.boost
            assert 0.85 < quoted < 0.98, name  # close enough to be one chip, too far to be rounding
        if "rounded" in peaks:
            assert peaks["rounded"]["reason"]
            assert all(0.03 < value <= 0.08 for value in peaks["rounded"].values() if not isinstance(value, str)), name


@pytest.mark.parametrize("name", list_profiles())
def test_matrix_formats_with_a_rate_have_a_published_peak_or_are_listed_as_unpublished(name):
    profile, published = load_profile(name), PEAKS[name]
    units = {} if profile.tensor is None else profile.tensor.fma_per_clock
    assert set(units) == {*published.get("tensor", {}), *published.get("unpublished", ())} | ({"fp64"} & set(units))
    assert not set(published.get("tensor", {})) & set(published.get("unpublished", ()))
    assert set(units) | set(profile.vector.fma_per_clock) <= FORMATS


@pytest.mark.parametrize("name", list_profiles())
def test_density_suits_the_node(name):
    profile = load_profile(name)
    if profile.die.area is None:
        pytest.skip("die area not published")
    density, node = profile.die.transistors / profile.die.area, profile.process.transistor_density
    low = node.low
    if "density" in PEAKS[name]:
        assert PEAKS[name]["density"]["reason"]
        low = PEAKS[name]["density"]["low"] * 1e12
        assert density < node.low, "no exception any more; delete it"
    assert low * 0.99 <= density <= node.high * 1.01  # the ends are rounded


WIDE = [
    name for name in list_profiles() if load_profile(name).memory.bus_width is not None and load_profile(name).memory.pin_rate is not None
]


@pytest.mark.parametrize("name", WIDE)
def test_memory_bandwidth_is_bus_width_times_pin_rate(name):
    memory = load_profile(name).memory
    assert memory.bandwidth == pytest.approx(memory.bus_width * memory.pin_rate / BITS_PER_BYTE, rel=0.01, abs=0)


def test_most_devices_state_the_width_and_the_rate_of_their_memory():
    assert len(WIDE) > len(list_profiles()) / 2


@pytest.mark.parametrize("name", list_profiles())
def test_idle_lies_below_the_limit_and_near_the_published_figure(name):
    profile, power = load_profile(name), load_profile(name).power
    assert idle_power(profile) < power.limit
    steps = [power.idle, power.idle_with_context, power.minimum_limit, power.limit, power.maximum_limit]
    known = [step for step in steps if step is not None]
    assert known == sorted(known)
    assert power.idle is None or idle_power(profile) == pytest.approx(power.idle, rel=0.25, abs=0)


@pytest.mark.parametrize("name", list_profiles())
def test_every_number_has_a_source_a_status_and_where_assumed_a_range(name):
    for path, number in load_profile(name).quantities().items():
        assert number.source.strip(), f"{path} has no source"
        assert not re.search(r"\.(csv|py|md)\b|/(work|tmp|home)/", number.source), f"{path} cites a file: {number.source}"
        assert number.status != "assumed" or number.low < number.high, f"{path} is assumed without a range"
        assert not (number.status == "datasheet" and "not confirmed" in number.source), f"{path} is no datasheet figure"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_inherited_facts_are_not_repeated(path):
    above = numbers(inherited(path))
    repeated = [key for key, value in numbers(raw(path)).items() if above.get(key) == value]
    assert not repeated, f"{path.name} repeats {repeated}; delete them there"


@pytest.mark.parametrize("path", [path for path in FILES if path.parent.name == "device"], ids=lambda path: path.stem)
def test_a_device_is_a_short_file_with_its_own_names(path):
    table = raw(path)
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 60
    assert {"inherits", "name", "year", "source", "status"} <= set(table)
    parents = table["inherits"] if isinstance(table["inherits"], list) else [table["inherits"]]
    above = [raw(ROOT / "device" / f"{parent}.toml") for parent in parents if (ROOT / "device" / f"{parent}.toml").is_file()]
    assert not above or "aliases" in table  # or it would answer to its parent's names


def test_a_name_means_one_file_in_all_folders():
    names = [path.stem for part in (*PARTS, "device") for path in (ROOT / part).glob("*.toml")]
    assert sorted(set(names)) == sorted(names)


OTHER_BOOST = [path for path in FILES if "boost" in raw(path).get("clock", {}) and "boost" in inherited(path).get("clock", {})]


@pytest.mark.parametrize("path", OTHER_BOOST, ids=lambda path: path.stem)
def test_who_states_another_boost_clock_states_its_voltage_on_the_family_curve(path):
    own, above = numbers(raw(path)["clock"]), numbers(inherited(path)["clock"])
    clock, voltage = si(own["boost"], "Hz"), si(own.get("voltage_at_boost", above["voltage_at_boost"]), "V")
    law = {"threshold_voltage": si(above["threshold_voltage"], "V"), "exponent": si(above["velocity_exponent"], "1")}
    gain = gain_through(si(above["boost"], "Hz"), si(above["voltage_at_boost"], "V"), **law)
    reached = clock_frequency(voltage, gain=gain, **law)
    if voltage == si(own.get("voltage_floor", above["voltage_floor"]), "V"):
        assert reached >= clock
    else:
        assert reached == pytest.approx(clock, rel=0.005, abs=0), f"at {voltage} V the family's curve gives {reached:.4g} Hz"


def test_some_device_has_another_boost_clock_than_its_family():
    assert OTHER_BOOST
