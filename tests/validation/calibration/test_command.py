"""`calibrate` on the command line: it prints what moved, writes only when asked, and says what is wrong."""

import json
import shutil
import tomllib
from datetime import date

import pytest

from estimator.__main__ import main
from estimator.hardware.catalogue import load_profile
from estimator.validation.calibration import calibrate
from estimator.validation.calibration.own_profile import calibrate_like, profile_text
from estimator.validation.calibration.report import as_json, as_text
from estimator.validation.calibration.writing import write
from estimator.validation.reading import read_folder

HEAD = "row_id,kind,task,precision,hardware,m,n,k,power_limit_w,unit,energy_j_per_unit,time_s_per_unit,trust"
ROWS = [
    "a,microbench,gemm,bfloat16,NVIDIA H200,512,4096,16384,700,kernel call,0.071364,0.0001061,A",
    "b,microbench,gemm,bfloat16,NVIDIA H200,8192,8192,16384,700,kernel call,2.2965,0.0033082,A",
    "c,microbench,gemm,bfloat16,NVIDIA H200,32,51200,16384,700,kernel call,0.28464,0.00041842,A",
]  # NVIDIA aiconfigurator, measured kernel tables


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "made.csv").write_text("\n".join([HEAD, *ROWS]) + "\n")
    return tmp_path


def test_the_command_prints_what_moved_and_writes_nothing_unless_asked(folder, capsys):
    before = {path: path.stat().st_mtime_ns for path in _files()}
    assert main(["calibrate", "--data", str(folder), "--hw", "hopper", "--json", str(folder / "out.json")]) == 0
    text = capsys.readouterr().out
    for part in ("3 rows: 3 of made.csv", "What moved", "What the data cannot tell", "Errors before and after:"):
        assert part in text
    data = json.loads((folder / "out.json").read_text())
    assert set(data) == {"constants", "alike", "suites", "files"}
    assert {one["metric"] for one in data["suites"]} == {"time", "energy_given_time"}
    tree = next(one for one in data["constants"] if one["path"] == "clock.tree_capacitance")
    assert tree["home"] == "family/sm-5nm.toml"
    assert tree["low"] <= tree["value"] <= tree["high"]
    assert {path: path.stat().st_mtime_ns for path in _files()} == before


def _files():
    from estimator.facts import profiles_dir

    return sorted(profiles_dir().rglob("*.toml"))


def test_written_values_are_read_back_with_their_record_and_keep_their_range(folder, monkeypatch):
    found = calibrate(read_folder(folder)[0])
    copy = folder / "profiles"
    homes = {one.constant.home: copy / one.constant.home.name for one in found.fitted}
    copy.mkdir()
    for source, target in homes.items():
        shutil.copy(source, target)
    for one in found.fitted:
        object.__setattr__(one.constant, "home", homes[one.constant.home])
    written = write(found, date(2026, 11, 27))
    assert written
    moved = max(found.fitted, key=lambda one: abs(one.moved))
    leaf = tomllib.loads(moved.constant.home.read_text())
    for part in moved.constant.path.split("."):
        leaf = leaf[part]
    assert leaf["value"] == pytest.approx(moved.value / moved.constant.scale, rel=1e-3, abs=0)
    assert leaf["low"] * moved.constant.scale == pytest.approx(moved.constant.prior.low, rel=1e-9, abs=0)
    assert leaf["status"] == "derived"
    assert leaf["note"].endswith("on 3 rows of made.csv")
    assert "calibrated 2026-11-27 from" in leaf["note"]


def test_a_card_like_a_part_gets_a_profile_that_loads(folder, tmp_path):
    found = calibrate_like(read_folder(folder)[0], "H200")
    text = profile_text(found, "H200", date(2026, 11, 27))
    mine = tmp_path / "mine.toml"
    mine.write_text(text)
    profile, part = load_profile(str(mine)), load_profile("H200")
    assert profile.name == "NVIDIA H200 SXM 141GB, calibrated"
    moved = {one.constant.path: one for one in found.fitted if one.constant.owner == "hardware" and abs(one.moved) >= 0.1}
    assert moved
    quantities = profile.quantities()
    for path, one in moved.items():
        assert quantities[path] == pytest.approx(one.value, rel=1e-4, abs=0)
        assert quantities[path].low <= quantities[path] <= quantities[path].high
        assert "calibrated 2026-11-27 on 3 rows of made.csv" in quantities[path].source
    untouched = set(part.quantities()) - set(quantities)
    assert not untouched


def test_the_report_and_the_data_say_the_same(folder):
    found = calibrate(read_folder(folder)[0])
    text, data = as_text(found), as_json(found)
    for one in data["constants"]:
        if abs(one["moved"]) >= 0.1 or one["spread"] >= 0.9:
            assert one["path"] in text


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--data", "DIR", "--hw", "hoper"], "unknown family, memory or device 'hoper'. Nearest: hopper"),
        (["--data", "DIR", "--suites", "kernel"], "unknown suite 'kernel'. Nearest: kernels"),
        (["--data", "DIR", "--limit", "-1"], "--limit -1: expected at least 1, or 0 for all rows"),
        (["--from", "DIR/made.csv"], "--from FILE.csv and --like HW belong together"),
        (["--from", "DIR/no.csv", "--like", "H200"], "no such file; give a tidy CSV file"),
        (["--data", "DIR", "--hw", "volta"], "none of 3 rows can be used on volta"),
    ],
)
def test_what_cannot_be_done_is_refused_with_what_to_do(folder, capsys, given, message):
    assert main(["calibrate", *(part.replace("DIR", str(folder)) for part in given)]) == 2
    assert message in capsys.readouterr().err


def test_without_scipy_the_command_says_what_to_install(folder, capsys, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "scipy.optimize", None)
    assert main(["calibrate", "--data", str(folder)]) == 2
    assert 'calibration needs scipy: pip install "joules-estimator[uq]"' in capsys.readouterr().err
