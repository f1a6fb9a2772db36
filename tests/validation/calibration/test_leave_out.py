"""Leaving hardware or models out: what is left out teaches nothing, and is predicted by what its relatives taught."""

import json
import math

import pytest

from estimator.__main__ import main
from estimator.errors import UnknownName
from estimator.validation.calibration import leave_out as module
from estimator.validation.calibration.leave_out import as_text, group_of, leave_out
from estimator.validation.calibration.observing import observe
from estimator.validation.rows import Row

SHAPES = [(512, 4096, 16384), (8192, 8192, 16384), (32, 51200, 16384), (4096, 4096, 4096)]
SLOW = 1.25  # all rows take a quarter longer than they should, so that constants must move


def rows(hardware="NVIDIA H200", power=600, **columns):
    made = []
    for line, (m, n, k) in enumerate(SHAPES):
        seconds = SLOW * max(2 * m * n * k / 7e14, 2 * (m * k + k * n + m * n) / 4e12)
        given = {
            "row_id": f"{hardware}{line}", "kind": "microbench", "task": "gemm", "precision": "bfloat16", "hardware": hardware,
            "m": m, "n": n, "k": k, "power_limit_w": 1000, "unit": "kernel call", "trust": "A", "time_s_per_unit": seconds,
            "energy_j_per_unit": power * seconds,
        }  # fmt: skip
        made.append(Row("made.csv", line, {name: str(value) for name, value in (given | columns).items()}))
    return made


def test_what_only_the_left_out_device_decides_returns_to_its_prior(monkeypatch):
    seen = []
    monkeypatch.setattr(module, "minimise", lambda *given: seen.append(fitted := minimise(*given)) or fitted)
    from estimator.validation.calibration.fitting import minimise

    found = leave_out([*rows(), *rows("NVIDIA B200", 900)], "hardware", None)
    assert {one.group for one in found} == {"h200-sxm", "b200-sxm"}
    assert {one.metric for one in found} == {"time", "energy_given_time", "energy"}
    free = list(dict.fromkeys(constant for one in observe([*rows(), *rows("NVIDIA B200", 900)]) for constant in one.constants))
    for deviates, alone in zip(seen, ("blackwell", "hopper")):  # B200 is left out first
        own = [float(x) for constant, x in zip(free, deviates) if constant.home.stem == alone]
        assert own and max(map(abs, own)) < 0.02


def test_profiles_as_they_are_do_not_depend_on_who_is_left_out():
    both = [*rows(), *rows("NVIDIA B200", 900)]
    known = {(one.group, one.metric): one.profiles["bias"] for one in leave_out(both, "hardware", None)}
    for one in observe(both):
        assert set(one.observation.measured) == {"time", "energy_given_time"}
    alone = [float(one.observation.errors({})["time"][0]) for one in observe(rows())]
    middle = sorted(alone)[1:3]
    assert math.isclose(known["h200-sxm", "time"], sum(map(math.expm1, middle)) / 2, rel_tol=1e-6)


def test_model_families_are_told_by_the_beginning_of_their_names():
    names = {"Qwen/Qwen3-14B": "qwen", "meta-llama/Llama-3.1-8B": "llama", "google/gemma-3-12b-it": "gemma"}
    (one,) = observe(rows()[:1])
    for name, family in names.items():
        object.__setattr__(one.observation, "labels", {"model": name.rpartition("/")[2], "hardware": "h200-sxm"})
        assert group_of(one, "model") == family
    assert group_of(one, "hardware") == "h200-sxm"


def test_one_group_alone_leaves_nothing_to_fit():
    assert leave_out(rows(), "hardware", None) == []
    assert "not of two or more groups by hardware" in as_text([], "hardware")
    with pytest.raises(UnknownName, match="unknown group to leave out 'hardwear'. Nearest: hardware"):
        leave_out(rows(), "hardwear", None)


def test_the_command_prints_the_comparison_and_puts_it_into_the_json(tmp_path, capsys):
    made = [*rows(), *rows("NVIDIA B200", 900)]
    names = list(made[0].columns)
    lines = [",".join(names), *(",".join(one.text(name) for name in names) for one in made)]
    (tmp_path / "made.csv").write_text("\n".join(lines) + "\n")
    file = tmp_path / "out.json"
    assert main(["validate", "--data", str(tmp_path), "--no-intervals", "--leave-out", "hardware", "--json", str(file)]) == 0
    assert "Each hardware predicted from the others" in capsys.readouterr().out
    found = json.loads(file.read_text())["left_out"]
    assert set(found[0]) == {"group", "suite", "metric", "n", "profiles", "fitted", "left_out"}
    assert set(found[0]["left_out"]) == {"median", "p90", "bias"}
