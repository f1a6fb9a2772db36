"""Predictions of rows: energy in a given time, suites by kind, anchors, skipped rows and faults."""

import json
import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator.__main__ import main
from estimator.hardware.catalogue import load_profile
from estimator.model.rules import work_of
from estimator.validation.evaluate import evaluate
from estimator.validation.hardware import limited, profile_name, profile_of
from estimator.validation.kernels import predict
from estimator.validation.published import published_rows
from estimator.validation.report import as_json
from estimator.validation.rows import Row, RowFault
from estimator.validation.sampling import evenly, sample
from estimator.validation.signatures import gemm
from estimator.validation.suites import kind_of, suite_of
from estimator.validation.text import as_text

GEMM = {
    "row_id": "g", "kind": "microbench", "task": "gemm", "precision": "bfloat16", "hardware": "NVIDIA H200", "power_limit_w": "700",
    "unit": "kernel call", "m": "8192", "n": "8192", "k": "8192", "energy_j_per_unit": "1.1", "time_s_per_unit": "0.0016",
    "avg_power_w": "690", "trust": "A", "split": "dev",
}  # fmt: skip


def row(line=2, **columns):
    return Row("f.csv", line, GEMM | {name: str(value) for name, value in columns.items()})


def test_energy_in_the_predicted_time_is_the_predicted_energy():
    for size in (256, 8192):
        prediction = predict(row(m=size))
        assert math.isclose(prediction.energy_in(prediction.time), prediction.energy, rel_tol=0.02)


@given(st.floats(1.0, 50.0))
def test_the_same_work_in_more_time_costs_more_but_never_more_than_the_cap(slower):
    prediction = predict(row())
    longer = prediction.energy_in(prediction.time * slower)
    assert longer <= 700 * prediction.time * slower * (1 + 1e-6)
    assert longer >= prediction.energy_in(prediction.time) * (1 - 0.05)  # a slower chip may run at a lower voltage


def test_a_lower_cap_costs_time_and_never_energy_above_it():
    free, capped = predict(row()), predict(row(power_limit_w=400))
    assert capped.time > free.time
    assert capped.power <= 400 * (1 + 1e-6)


def test_a_clock_limit_keeps_the_voltage_that_the_clock_needs():
    profile = load_profile("a100-pcie-80gb")
    slow = limited(profile, clock=1.0e9)
    assert slow.clock.boost == 1.0e9
    assert profile.clock.voltage_floor <= slow.clock.voltage_at_boost < profile.clock.voltage_at_boost
    assert limited(profile, clock=1e12) is profile


def test_a_product_in_narrow_formats_converts_its_input_first():
    wide, narrow = gemm(row()), gemm(row(precision="fp8_block"))
    assert [kernel.name for kernel in narrow] == ["quantise", wide[0].name.replace("mm", "_scaled_mm")]
    converted = work_of(narrow[0])
    assert converted.read == 8192 * 8192 * 2  # bf16
    assert converted.write == 8192 * 8192 + 8192 * 64 * 4  # fp8, and an fp32 scale for each 128 of them
    assert sum(work_of(kernel).matmul_flop for kernel in narrow) == 2 * 8192**3


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("NVIDIA H100 80GB HBM3 (SXM5)", "h100-sxm"),
        ("NVIDIA A100-SXM4-80GB (p4de, 1 of 8 GPUs used)", "a100-sxm-80gb"),
        ("NVIDIA V100-PCIe-32GB", "v100-pcie-32gb"),
        ("b200-sxm", "b200-sxm"),
        ("NVIDIA A100 80GB PCIe", "a100-pcie-80gb"),
        ("NVIDIA A100-80GB (cap relative to 250 W)", "a100-sxm-80gb"),  # and not an A10
        ("NVIDIA H200 NVL", "h200-nvl"),
        ("NVIDIA H100-SXM5-80GB", "h100-sxm"),
        ("NVIDIA A2 (XR12_A2x1_TRT_MaxQ)", "a2"),
        ("AMD EPYC 7763 64-Core Processor", "epyc-7763"),
        ("Intel(R) Xeon(R) Platinum 8480+", "xeon-8480plus"),
    ],
)
def test_names_of_data_sets_lead_to_profiles(text, name):
    assert load_profile(profile_name(text)).name == load_profile(name).name


@pytest.mark.parametrize("text", ["NVIDIA GeForce GTX 9080 Ti", "NVIDIA H1000", "NVIDIA L400", "Apple M3 Pro", "TITAN 9000"])
def test_a_part_that_only_sounds_like_another_is_not_taken_for_it(text):
    assert profile_name(text) == text


def test_hardware_that_is_not_in_the_catalogue_names_the_column():
    with pytest.raises(RowFault, match="'TITAN 9000', which is not in the catalogue") as fault:
        profile_of(row(hardware="TITAN 9000"))
    assert fault.value.column == "hardware"


def test_bad_rows_are_listed_and_the_rest_goes_on():
    rows = [row(2), row(3, m="many"), row(4, hardware="TITAN 9000"), row(5, kind="mystery"), row(6, precision="int3")]
    done = evaluate(rows)
    assert [one.row_id for one in done.results] == ["g"]
    assert [(fault.line, fault.column) for fault in done.faults] == [(3, "m"), (4, "hardware"), (5, "kind")]
    assert str(done.faults[0]) == "f.csv, row 3, column m: holds 'many': expected a number"
    assert [one.why for one in done.skipped] == ["operands of two widths or of an unknown format: 'int3'"]


def test_rows_of_unknown_work_are_anchored_at_their_highest_limits():
    grid = {"task": "grid", "op": "babelstream", "unit": "run", "hardware": "NVIDIA A100-PCIe (300 W)", "power_limit_w": "300"}
    rows = [row(i, row_id=f"c{clock}", clock_limit_mhz=clock, time_s_per_unit=20, **grid) for i, clock in enumerate((1005, 1410))]
    slow, top = sorted(evaluate(rows).results, key=lambda one: one.row_id)
    assert top.predicted_time is None
    assert top.predicted_energy is None
    # streaming does not depend on the core clock, so the slow row takes as long as the anchor was measured to take
    assert math.isclose(slow.predicted_time, 20, rel_tol=0.05)
    assert slow.predicted_energy < top.energy_given_time


def test_a_sample_takes_rows_evenly_from_every_suite():
    rows = [row(i, row_id=i) for i in range(100)] + [row(i, row_id=f"s{i}", kind="llm_serving") for i in range(3)]
    taken = sample(rows, 5)
    assert [one.row_id for one in taken] == ["0", "20", "40", "60", "80", "s0", "s1", "s2"]
    assert sample(rows, None) == rows
    assert {suite_of(one) for one in taken} == {"kernels", "serving"}


@given(st.integers(0, 70))
def test_an_even_order_visits_all_and_its_beginnings_spread(count):
    order = list(evenly(range(count)))
    assert sorted(order) == list(range(count))
    if count >= 16:
        gaps = [later - earlier for earlier, later in zip(sorted(order[:8]), sorted(order[:8])[1:])]
        assert max(gaps) <= 2 * (count / 8) + 1


def test_a_row_has_intervals_where_they_are_asked_for_and_the_wider_holds_the_narrower():
    bare, (result,) = evaluate([row()]).results[0], evaluate([row()], intervals=True).results
    assert bare.bounds("energy", 90) is None
    for metric in ("time", "energy_given_time", "energy"):
        (low, high), (lower, higher) = result.bounds(metric, 50), result.bounds(metric, 90)
        assert lower < low <= result.values(metric)[0] <= high < higher
    facts = as_json(evaluate([row()], intervals=True))["rows"][0]
    assert (facts["low_90"], facts["high_90"]) == result.bounds("energy", 90)


def test_power_at_rest_has_an_interval_too():
    rest = row(kind="microbench", task="idle", op="idle", unit="second", avg_power_w=76, energy_j_per_unit="", time_s_per_unit="")
    (result,) = evaluate([rest], intervals=True).results
    low, high = result.bounds("energy", 90)
    assert low < result.predicted_energy < high
    assert result.inside("energy", 90)


SCORE_KEYS = {"suite", "group", "metric", "n", "median", "p90", "bias", "inside_50", "inside_90"}
ROW_KEYS = {
    "row_id", "file", "suite", "hardware", "split", "scored", "why_not", "measured_energy", "predicted_energy", "energy_given_time",
    "low_90", "high_90", "measured_time", "predicted_time", "assumed", "mfu",
}  # fmt: skip


def test_the_json_keeps_its_keys():
    data = json.loads(json.dumps(as_json(evaluate([row(), row(3, trust="C", row_id="c"), row(4, precision="int3"), row(5, m="x")]))))
    assert set(data) == {"suites", "apart", "coverage", "caps", "rows", "skipped", "faults"}
    assert {frozenset(one) for one in (*data["suites"], *data["apart"])} == {frozenset(SCORE_KEYS)}
    assert {frozenset(one) for one in data["rows"]} == {frozenset(ROW_KEYS)}
    assert [(one["scored"], one["why_not"]) for one in data["rows"]] == [(True, None), (False, "low trust")]
    assert data["skipped"][0].keys() == {"row_id", "file", "suite", "why"}
    assert (data["faults"][0]["column"], data["faults"][0]["text"]) == ("m", "f.csv, row 5, column m: holds 'x': expected a number")
    assert {one["group"] for one in data["suites"]} == {"all", "h200-sxm · gemm · bfloat16 · at cap"}


def test_the_report_names_scores_rows_apart_worst_rows_and_what_was_lost():
    text = as_text(evaluate([row(), row(3, trust="C"), row(4, precision="int3"), row(5, m="x")]))
    for part in (
        "energy | time",
        "Reported apart, by reason:",
        "low trust",
        "Worst rows, at most 10 of each suite:",
        "Skipped, 1 rows:",
        "Could not be read, 1 rows:",
    ):
        assert part in text


def test_published_rows_are_sound_and_cited():
    rows = published_rows()
    assert len(rows) >= 60
    assert all(one.text("source") for one in rows)
    for one in rows:
        if one.text("avg_power_w") and one.text("energy_j_per_unit") and one.time:
            assert math.isclose(one.number("avg_power_w") * one.time, one.energy, rel_tol=0.05)


def test_published_rows_are_of_every_kind_a_few_of_each():
    rows = published_rows()
    kinds = Counter(kind_of(one) for one in rows)
    expected = {"kernel", "microbench", "llm_serving", "diffusion", "training_epoch", "training_run", "inference", "host_power"}
    assert expected <= set(kinds)
    assert all(kinds[kind] >= 3 for kind in expected)
    at_rest = [one for one in rows if one.text("op") == "idle"]
    assert len({one.text("hardware") for one in at_rest}) == len(at_rest) >= 5
    assert {one.text("op") for one in rows} >= {"idle", "powervirus", "babelstream"}  # rest, peak, and clock against power limits


def write(folder, *rows):
    names = list(GEMM)
    lines = [",".join(names), *(",".join(one.text(name) for name in names) for one in rows)]
    (folder / "made.csv").write_text("\n".join(lines) + "\n")


def test_the_command_scores_a_folder_and_writes_json_and_a_picture(tmp_path, capsys):
    write(tmp_path, row(), row(row_id="h"))
    files = {"--json": tmp_path / "out.json", "--plot": tmp_path / "out.svg"}
    given = ["validate", "kernels", "--data", str(tmp_path), "--by", "hardware,cap", "--limit", "1"]
    assert main([*given, *(str(part) for pair in files.items() for part in pair)]) == 0
    text = capsys.readouterr().out
    assert "1 of 2 rows, evenly spaced" in text
    assert "h200-sxm · at cap" in text
    assert json.loads(files["--json"].read_text())["rows"][0]["row_id"] == "g"
    assert files["--plot"].read_text().startswith("<svg")
    assert "h200-sxm" in files["--plot"].read_text()


def test_the_command_returns_one_where_rows_are_lost_and_says_which(tmp_path, capsys):
    write(tmp_path, row(), row(m="x"))
    assert main(["validate", "--data", str(tmp_path)]) == 1
    assert "made.csv, row 3, column m: holds 'x': expected a number" in capsys.readouterr().out


def test_an_unknown_suite_or_grouping_is_refused(tmp_path, capsys):
    write(tmp_path, row())
    assert main(["validate", "kernel", "--data", str(tmp_path)]) == 2
    assert "unknown suite 'kernel'. Nearest: kernels" in capsys.readouterr().err
    assert main(["validate", "--data", str(tmp_path), "--by", "hardwear"]) == 2
    assert "unknown grouping 'hardwear'. Nearest: hardware" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--json", "--plot"])
def test_a_file_that_cannot_be_written_is_refused_before_the_work(tmp_path, capsys, option):
    write(tmp_path, row())
    assert main(["validate", "--data", str(tmp_path), option, str(tmp_path / "no" / "file")]) == 2
    assert "does not exist; create it first" in capsys.readouterr().err
    assert main(["validate", "--data", str(tmp_path), option, str(tmp_path)]) == 2
    assert "is a folder; give the name of a file in it" in capsys.readouterr().err
