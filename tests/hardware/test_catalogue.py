"""Finding a profile, putting it together, and saying what is wrong with it."""

from pathlib import Path
from time import process_time

import pytest

from estimator.errors import ProfileError, UnknownName
from estimator.hardware import catalogue, inheritance
from estimator.hardware.catalogue import list_profiles, load_profile

MEANT = {  # what a bare name means
    "V100": "v100-sxm2-16gb", "A100": "a100-sxm-80gb", "H100": "h100-sxm", "H200": "h200-sxm", "B200": "b200-sxm", "A40": "a40",
    "P100": "p100-pcie", "T4": "t4", "Tesla V100-SXM2-16GB": "v100-sxm2-16gb", "NVIDIA A100-SXM4-80GB": "a100-sxm-80gb",
    "NVIDIA A100 80GB PCIe": "a100-pcie-80gb", "NVIDIA H100 80GB HBM3": "h100-sxm", "NVIDIA H100 PCIe": "h100-pcie",
    "RTX 4090": "rtx-4090", "A6000": "rtx-a6000", "GH200": "gh200-96gb", "NVIDIA B300 SXM6 AC": "b300-sxm", "MI300X": "mi300x",
    "TPUv4": "tpu-v4", "Trillium": "tpu-v6e", "Ironwood": "tpu-v7", "trn2": "trainium2", "Gaudi 2": "gaudi2", "M2 Ultra": "apple-m2-ultra",
    "Tesla P40": "p40", "Jetson AGX Orin": "jetson-agx-orin-64gb", "Xeon 8480+": "xeon-8480plus", "EPYC 9654": "epyc-9654",
    "Pi 5": "raspberry-pi-5",
    "NVIDIA B200": "b200-sxm", "Tesla P100-PCIE-16GB": "p100-pcie", "Tesla T4": "t4", "h100-sxm": "h100-sxm", "nvidia h200": "h200-sxm",
}  # fmt: skip


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return path


def fault(hw) -> str:
    with pytest.raises(ProfileError) as caught:
        load_profile(hw)
    return str(caught.value)


def test_the_catalogue_is_wide():
    parts = [load_profile(name) for name in list_profiles()]
    assert len(parts) >= 60
    assert {part.kind for part in parts} == {"gpu", "tpu", "cpu", "accelerator"}
    assert {"NVIDIA", "AMD", "Google", "AWS", "Intel", "Apple"} <= {part.vendor for part in parts}


def test_the_whole_catalogue_loads_quickly():
    for cached in (catalogue._aliases, catalogue._load_named, inheritance._parsed):
        cached.cache_clear()
    begun = process_time()  # of this process alone: a busy machine must not fail the test
    load_profile("H100")
    one = process_time() - begun
    assert all(load_profile(name) for name in list_profiles())
    assert one < 1 and process_time() - begun < 4


@pytest.mark.parametrize("name", list_profiles())
def test_every_profile_loads(name):
    assert load_profile(name).name


@pytest.mark.parametrize(("alias", "name"), MEANT.items())
def test_a_name_means_one_part(alias, name):
    assert load_profile(alias) == load_profile(name)
    assert load_profile(alias.upper()) == load_profile(alias.lower())


def test_an_alias_in_two_files_is_an_error(tmp_path):
    (tmp_path / "device").mkdir()
    write(tmp_path / "device", "one", 'aliases = ["X1"]')
    write(tmp_path / "device", "two", 'aliases = ["x1"]')
    with pytest.raises(ProfileError, match="alias 'x1' belongs to both 'one' and 'two'; keep it in one of them"):
        catalogue._aliases(tmp_path)


def test_a_bare_name_says_which_part_it_means():
    for alias in ("V100", "A100", "H100", "P100"):
        assert f'"{alias}" means this' in load_profile(alias).notes


def test_an_unknown_name_lists_the_nearest():
    with pytest.raises(UnknownName) as caught:
        load_profile("H10O")
    assert str(caught.value).startswith("unknown hardware 'H10O'. Nearest: H100")
    assert "`python -m estimator profiles` lists all" in str(caught.value)


def test_a_mapping_and_a_file_work_like_a_name(tmp_path):
    given = {"inherits": "h100-sxm", "name": "half the cap", "power": {"limit": "350 W"}}
    path = write(tmp_path, "half", 'inherits = "h100-sxm"\nname = "half the cap"\npower.limit = "350 W"')
    for half in (load_profile(given), load_profile(path), load_profile(str(path))):
        assert (half.name, half.power.limit, half.power.idle) == ("half the cap", 350, load_profile("H100").power.idle)
        assert load_profile(half) is half
    assert given == {"inherits": "h100-sxm", "name": "half the cap", "power": {"limit": "350 W"}}


def test_a_file_may_inherit_its_neighbour(tmp_path):
    write(tmp_path, "lab", 'inherits = "t4"\nname = "lab"\nsource = "own reading"\nstatus = "measured"\npower.limit = "60 W"')
    lab = load_profile(write(tmp_path, "cold", 'inherits = "lab"\nname = "cold"\nthermal.ambient = "5 degC"'))
    assert (lab.power.limit, lab.power.limit.source, lab.power.limit.status) == (60, "own reading", "measured")
    assert (lab.thermal.ambient.source, lab.thermal.ambient.status) == ("", "assumed")  # a file's default stays in that file


def test_a_table_may_state_its_own_source():
    card = load_profile(
        {"inherits": "t4", "source": "outer", "power": {"source": "inner", "status": "measured", "limit": 60}, "l2": {"capacity": 1}}
    )
    assert (card.power.limit.source, card.power.limit.status, card.l2.capacity.source) == ("inner", "measured", "outer")


def test_a_later_parent_replaces_an_earlier_one():
    assert load_profile("a100-sxm-80gb").memory.kind == "HBM2e"
    assert load_profile("a100-sxm-80gb").memory.controller_capacitance == load_profile("a100-sxm-40gb").memory.controller_capacitance


def test_a_missing_file_is_named():
    assert "no profile file at 'nowhere.toml'; give an existing TOML file or a name." in fault("nowhere.toml")


def test_an_unknown_key_is_named(tmp_path):
    text = fault(write(tmp_path, "x", 'inherits = "t4"\n[clock]\nbost = "2 GHz"'))
    assert "clock.bost: unknown key; remove it or correct its spelling" in text
    assert "See hardware_profiles/README.md for every key." in text


def test_a_wrong_unit_is_named():
    assert "clock.voltage_floor: wrong unit 'W': expected 'V', with any SI prefix" in fault(
        {"inherits": "t4", "clock": {"voltage_floor": "700 W"}}
    )


def test_a_missing_number_is_named():
    text = fault({"inherits": ["turing", "gddr6", "pcie3"], "name": "T5", "year": 2030})
    assert "  die: missing; state it here or inherit it" in text
    assert "  l2.capacity: missing; state it here or inherit it" in text


def test_every_fault_is_reported_at_once():
    text = fault({"inherits": "t4", "clock": {"boost": "1 V"}, "power": {"limit": "1 Hz"}})
    assert "clock.boost: wrong unit" in text and "power.limit: wrong unit" in text


def test_inheritance_in_a_circle_is_an_error(tmp_path):
    write(tmp_path, "b", 'inherits = "a"')
    assert "inherits 'b' in a circle: b ← a ← b; break it" in fault(write(tmp_path, "a", 'inherits = "b"'))


def test_an_unknown_parent_lists_the_nearest():
    assert "unknown parent profile 'hoper'. Nearest: hopper" in fault({"inherits": "hoper"})


@pytest.mark.parametrize("parents", [5, ["hopper", 5], {"family": "hopper"}])
def test_parents_must_be_names(parents):
    assert "`inherits` is a name or a list of names" in fault({"inherits": parents})


@pytest.mark.parametrize("content", [b"limit = = 5", b"\xff\xfe\x00", b'name = "a"\nname = "b"'])
def test_what_is_not_toml_is_an_error(tmp_path, content):
    path = tmp_path / "bad.toml"
    path.write_bytes(content)
    assert "bad.toml: not valid TOML" in fault(path)


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("NVIDIA A100-SXM4-80GB", "a100-sxm-80gb"),
        ("nvidia a100 sxm4 80gb", "a100-sxm-80gb"),
        ("Tesla V100-PCIE-32GB", "v100-pcie-32gb"),
        ("GeForce RTX 3080 Ti", "rtx-3080-ti"),
        ("AMD Instinct MI300X OAM", "mi300x"),
        ("Google TPU v4", "tpu-v4"),
        ("Intel Gaudi 3", "gaudi3"),
    ],
)
def test_brands_and_separators_do_not_matter(spelling, name):
    assert load_profile(spelling) == load_profile(name)


def test_two_parts_may_not_differ_by_brand_and_separators_alone(tmp_path):
    (tmp_path / "device").mkdir()
    for name in ("one-1", "two"):
        (tmp_path / "device" / f"{name}.toml").write_text(f'name = "{name}"\naliases = ["{"NVIDIA One 1" if name == "two" else "x"}"]')
    with pytest.raises(ProfileError, match="alias 'NVIDIA One 1' belongs to both 'one-1' and 'two'"):
        catalogue._aliases(tmp_path)
