"""What the catalogue says about each device agrees with what is published, with its node and with itself."""

import math
import re
import tomllib
from pathlib import Path

import pytest

from estimator.hardware import catalogue
from estimator.hardware.catalogue import list_profiles, load_profile
from estimator.hardware.power import idle_power, voltage_at
from estimator.model.work import BYTES
from estimator.run.formats import ARITHMETIC
from estimator.units import to_si

ROOT = catalogue.profiles_dir()
PEAKS = tomllib.loads((Path(__file__).parent / "published_peaks.toml").read_text(encoding="utf-8"))
FILES = sorted(path for part in ("family", "memory", "link", "device") for path in (ROOT / part).glob("*.toml"))
FORMATS = set(BYTES) | set(ARITHMETIC.values()) | {"int4"}


def raw(path: Path) -> dict:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def inherited(path: Path) -> dict:
    return catalogue._resolve({"inherits": raw(path).get("inherits", [])}, path.name, path.parent, ())


def numbers(table: dict, prefix: str = "") -> dict[str, tuple]:
    """Every number of a raw table by dotted path as (value, unit, low, high)."""
    found = {}
    for key, value in table.items():
        if key in catalogue.TEXT | {"inherits", "source", "status"}:
            continue
        if isinstance(value, dict) and "value" not in value:
            found |= numbers(value, f"{prefix}{key}.")
        else:
            leaf = value if isinstance(value, dict) else {"value": value}
            amount, _, unit = str(leaf["value"]).partition(" ")
            found[prefix + key] = (float(amount), unit or leaf.get("unit"), leaf.get("low"), leaf.get("high"))
    return found


def test_every_device_has_published_peaks():
    assert set(PEAKS) == set(list_profiles())


@pytest.mark.parametrize("name", list_profiles())
def test_peak_rates_are_the_published_ones(name):
    # peak = multiprocessors × multiply-adds per clock × 2 × clock
    profile, published = load_profile(name), PEAKS[name]
    tensor_clock = published.get("clock", {}).get("tensor", profile.clock.boost)
    for unit in ("vector", "tensor"):
        for number_format, peak in published.get(unit, {}).items():
            clock = tensor_clock if unit == "tensor" and number_format != "fp64" else profile.clock.boost
            rate = getattr(profile, unit).fma_per_clock[number_format]
            ours = profile.die.multiprocessors * rate * 2 * clock
            assert math.isclose(ours, peak, rel_tol=0.03), f"{unit} {number_format}: {ours:.4g} against {peak:.4g}"


@pytest.mark.parametrize("name", [name for name, peaks in PEAKS.items() if "clock" in peaks])
def test_datasheets_with_two_clocks_are_known_exceptions(name):
    quoted, boost = PEAKS[name]["clock"]["tensor"], load_profile(name).clock.boost
    assert PEAKS[name]["clock"]["reason"]
    assert 0.85 < quoted / boost < 0.97  # close enough to be one chip, too far to be rounding


@pytest.mark.parametrize("name", list_profiles())
def test_matrix_formats_with_a_rate_have_a_published_peak(name):
    profile = load_profile(name)
    if profile.tensor:
        assert set(profile.tensor.fma_per_clock) == set(PEAKS[name]["tensor"]) | ({"fp64"} & set(profile.tensor.fma_per_clock))
        assert set(profile.tensor.fma_per_clock) | set(profile.vector.fma_per_clock) <= FORMATS


@pytest.mark.parametrize("name", list_profiles())
def test_density_suits_the_node(name):
    profile = load_profile(name)
    if profile.die.area is None:
        pytest.skip("die area not published")
    density, node = profile.die.transistors / profile.die.area, profile.process.transistor_density
    assert node.low * 0.99 <= density <= node.high * 1.01  # the ends are rounded


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


OTHER_BOOST = [path for path in FILES if "boost" in raw(path).get("clock", {}) and "boost" in inherited(path).get("clock", {})]


@pytest.mark.parametrize("path", OTHER_BOOST, ids=lambda path: path.stem)
def test_who_states_another_boost_clock_states_its_voltage_on_the_family_curve(path):
    table = raw(path)
    own = table.pop("clock")
    clock, unit, *_ = numbers(own)["boost"]
    expected = voltage_at(load_profile(table), to_si(clock, unit, "Hz"))
    assert own["voltage_at_boost"]["value"] == pytest.approx(expected, rel=0.005, abs=0), f"the family's curve gives {expected:.3f} V"


def test_some_device_has_another_boost_clock_than_its_family():
    assert OTHER_BOOST
