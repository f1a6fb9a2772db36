"""`python -m estimator profiles`: list, show, check and new."""

import math
import re

import pytest

from estimator.__main__ import main
from estimator.cli.profiles import figures
from estimator.cli.profiles.new import template
from estimator.cli.profiles.show import datasheet
from estimator.hardware.catalogue import list_profiles, load_profile
from estimator.hardware.consistency import doubts
from estimator.hardware.quantity import Quantity

H100 = load_profile("H100")


def run(capsys, *arguments: str) -> tuple[int, str]:
    code = main(["profiles", *arguments])
    return code, capsys.readouterr().out


def test_the_list_names_every_part_once_below_its_vendor(capsys):
    code, out = run(capsys)
    assert code == 0
    for name in list_profiles():
        assert len(re.findall(rf"^{re.escape(name)} ", out, re.MULTILINE)) == 1
    assert re.findall(r"^([A-Z][\w ]*)\nname ", out, re.MULTILINE) == sorted({load_profile(name).vendor for name in list_profiles()})


@pytest.mark.parametrize("name", list_profiles())
def test_a_datasheet_shows_every_number_and_every_source(name):
    profile = load_profile(name)
    out = datasheet(profile)
    for path, number in profile.quantities().items():
        assert figures.shown(path, number, number.unit) in out
        assert re.sub(r"\s+", " ", number.source) in re.sub(r"\s+", " ", out)


def test_a_datasheet_gives_value_range_status_and_source_of_a_number(capsys):
    _, out = run(capsys, "show", "H100")
    line = next(line for line in out.splitlines() if line.startswith("voltage_at_boost"))
    value, rest = re.match(r"voltage_at_boost\s+(0\.98 V)\s+(.*)", line).groups()
    interval, status, number = re.match(r"(0\.86 V … 1\.06 V)\s+(derived)\s+\[(\d+)\]", rest).groups()
    assert (value, interval, status) == ("0.98 V", "0.86 V … 1.06 V", "derived")
    assert f"[{number}] power of an H100 under caps" in out


def test_derived_figures_follow_from_the_stated_ones(capsys):
    # 132 SMs × 2048 multiply-adds × 2 × 1.98 GHz = 1.0705e15 FLOP/s; ÷ 3.35e12 B/s = 319.6 FLOP/B
    _, out = run(capsys, "show", "H100")
    assert re.search(r"tensor\s+bf16\s+1\.07 PFLOP/s\s+320 FLOP/B", out)
    # 5120 B/clock × 1.98 GHz = 10.14 TB/s
    assert re.search(r"L2 bandwidth\s+10\.1 TB/s", out)
    assert re.search(r"idle power\s+[\d.]+ W; published 72 W", out)


def test_a_part_without_matrix_units_or_published_idle_power_has_a_datasheet_too():
    out = datasheet(load_profile("apple-m1"))
    assert re.search(r"vector\s+fp32\s", out) and not re.search(r"tensor\s+\w+\s+[\d.]+ TFLOP/s", out)
    assert "none published" in out


@pytest.mark.parametrize("name", list_profiles())
def test_a_template_loads_as_it_stands_and_repeats_the_part(name, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(template(name), encoding="utf-8")
    mine, part = load_profile(path), load_profile(name)
    assert mine.name == f"my {part.name}" and mine.aliases == ()
    assert (mine.vendor, mine.architecture, mine.year, mine.kind) == (part.vendor, part.architecture, part.year, part.kind)
    ours, theirs = mine.quantities(), part.quantities()
    assert ours.keys() == theirs.keys()
    for key, number in theirs.items():
        assert math.isclose(ours[key], number, rel_tol=1e-9), key
        assert (ours[key].source, ours[key].status, ours[key].note) == (number.source, number.status, number.note), key


def test_a_commented_line_of_a_template_states_what_is_inherited(tmp_path, capsys):
    text = template("H100")
    assert '# voltage_floor = "0.7 V"  # lowest core voltage, whatever the clock' in text
    path = tmp_path / "mine.toml"
    path.write_text(text.replace('# voltage_floor = "0.7 V"', 'voltage_floor = "0.69 V"'), encoding="utf-8")
    assert load_profile(path).clock.voltage_floor == pytest.approx(0.69, rel=1e-12, abs=0)


def test_new_writes_the_template_to_standard_output(capsys):
    code, out = run(capsys, "new", "--like", "V100")
    assert code == 0 and out == template("V100") + "\n"
    assert 'inherits = ["volta", "hbm2", "nvlink2", "pcie3"]' in out


def test_a_template_of_an_unknown_part_lists_the_nearest(capsys):
    assert main(["profiles", "new", "--like", "H10O"]) == 2
    assert "unknown hardware 'H10O'. Nearest: H100" in capsys.readouterr().err


def test_a_usable_file_says_what_is_assumed_and_what_is_optional(tmp_path, capsys):
    path = tmp_path / "mine.toml"
    board = '{ value = 9, low = 3, high = 20, unit = "W", source = "guess", status = "assumed" }'
    path.write_text(f'inherits = "h100-sxm"\nname = "mine"\npower.board = {board}', encoding="utf-8")
    code, out = run(capsys, "check", str(path))
    assert code == 0
    assert re.match(rf".*mine\.toml describes mine: {len(H100.quantities())} numbers, 1 of them stated here", out)
    assert re.search(r"power\.board\s+9 W\s+3 W … 20 W\s+here\s+guess", out)
    assert re.search(r"thermal\.ambient\s+25 °C\s+18 °C … 35 °C\s+inherited\s+ASHRAE", out)
    assert re.search(r"power\.maximum_limit\s+W\s+highest cap", out)
    assert "Worth a second look" not in out


def test_an_unusable_file_says_what_is_missing_with_unit_and_meaning(tmp_path, capsys):
    path = tmp_path / "mine.toml"
    path.write_text('inherits = ["hopper", "hbm3"]\nname = "mine"\nyear = 2030\n[clock]\nbost = "2 GHz"', encoding="utf-8")
    code, out = run(capsys, "check", str(path))
    assert code == 1
    assert "clock.bost: unknown key; remove it or correct its spelling" in out
    assert re.search(r"^memory\.bandwidth\s+B/s\s+nominal peak$", out, re.MULTILINE)
    assert re.search(r"^die\.multiprocessors\s+1\s+enabled SMs", out, re.MULTILINE)
    assert "tensor.dot_length" not in out  # inherited


def test_keys_of_an_optional_section_are_missing_only_where_it_was_begun(tmp_path, capsys):
    path = tmp_path / "mine.toml"
    path.write_text('inherits = "p100-pcie"\nname = "mine"\n[tensor]\ndot_length = 4', encoding="utf-8")
    code, out = run(capsys, "check", str(path))
    assert code == 1 and re.search(r"^tensor\.tile_m\s", out, re.MULTILINE)
    path.write_text('inherits = "pascal"\nname = "mine"', encoding="utf-8")
    assert "tensor.tile_m" not in run(capsys, "check", str(path))[1]


def test_a_missing_file_is_an_error(capsys):
    assert main(["profiles", "check", "nowhere.toml"]) == 2
    assert "no profile file at 'nowhere.toml'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("sections", "sentence"),
    [
        ({"memory": {"bandwidth": {"value": 4e12, "source": "x"}}}, "memory.bandwidth is 4 TB/s, bus_width × pin_rate make 3.35 TB/s"),
        ({"die": {"area": {"value": 400, "unit": "mm2", "source": "x"}}}, "die.transistors ÷ die.area is 200 million per mm²"),
        ({"power": {"board": {"value": 90, "source": "x", "low": 1, "high": 99}}}, "W, power.idle says 72 W"),
        ({"power": {"minimum_limit": {"value": 800, "source": "x"}}}, "power.minimum_limit (800 W) exceeds power.limit (700 W)"),
        ({"power": {"board": {"value": 9, "source": "x"}}}, "power.board is assumed without a range"),
        ({"power": {"board": {"value": 9, "low": 1, "high": 20}}}, "power.board has no source"),
    ],
)
def test_what_contradicts_is_doubted(sections, sentence):
    found = doubts(load_profile({"inherits": "h100-sxm", "name": "mine"} | sections))
    assert any(sentence in doubt for doubt in found), found


def test_a_part_that_would_exceed_its_cap_at_rest_is_doubted():
    cold = load_profile({"inherits": "t4", "power": {"board": 80, "idle": None}, "thermal": {"resistance": 0.05}})
    assert any("standing still the part would draw" in doubt for doubt in doubts(cold))
    hot = load_profile({"inherits": "t4", "power": {"board": 80, "idle": None}, "thermal": {"resistance": 1.0}})
    assert any("thermal runaway" in doubt for doubt in doubts(hot))


def test_the_catalogue_is_doubted_only_for_densities_that_are_explained_elsewhere():
    assert {
        name: doubts(load_profile(name)) for name in list_profiles() if any("per mm²" not in doubt for doubt in doubts(load_profile(name)))
    } == {}


@pytest.mark.parametrize(
    ("path", "value", "unit", "text"),
    [
        ("die.area", 814e-6, "m2", "814 mm²"),
        ("process.transistor_density", 138e12, "transistor/m2", "138 M/mm²"),
        ("thermal.limit", 360.15, "K", "87 °C"),
        ("process.leakage_temperature_efold", 36, "K", "36 K"),
        ("thermal.resistance", 0.06, "K/W", "0.06 K/W"),
        ("clock.boost", 1.98e9, "Hz", "1.98 GHz"),
        ("clock.voltage_floor", 0.7, "V", "0.7 V"),
        ("tensor.fma_per_clock.bf16", 2048, "MAC/clock", "2048 MAC/clock"),
        ("die.transistors", 80e9, "1", "80 G"),
        ("tensor.dot_length", 16, "1", "16"),
    ],
)
def test_numbers_print_as_in_a_datasheet(path, value, unit, text):
    assert figures.shown(path, value, unit) == text


@pytest.mark.parametrize(
    ("value", "unit", "short"),
    [
        (1.98e9, "Hz", '"1.98 GHz"'),
        (360.15, "K", '"87 degC"'),
        (36.0, "K", '"36 K"'),
        (0.0, "W", '"0 W"'),
        (0.88e-18, "F", '"0.88 aF"'),
        (0.5, "1", "0.5"),
    ],
)
def test_numbers_are_written_back_with_a_unit_for_people(value, unit, short):
    assert figures.short_toml(Quantity(value, unit)) == short
