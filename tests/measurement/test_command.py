"""`measure` over a simulated session: the file that comes out is what went in, is read by `validate`, or is not there at all."""

import csv
import sys

import pytest
from pytest import approx

from estimator.__main__ import main
from estimator.cli import measure as command
from estimator.validation.evaluate import evaluate
from estimator.validation.hardware import use
from estimator.validation.reading import read_data
from tests.measurement.card import Card
from tests.measurement.fake_nvml import FakeNvml, NVMLError
from tests.measurement.session import Replay, session, true_profile
from tests.measurement.steady import SteadyMeter


@pytest.fixture
def bench(monkeypatch):
    """Installs a card that replays the session; gives the bench."""

    def install(card=None, missing="nothing", **nvml):
        replay = Replay(card or Card(noise=0.01, drift=0.0005), missing)
        replay.nvml = FakeNvml(replay.card, **nvml)
        monkeypatch.setitem(sys.modules, "pynvml", replay.nvml)
        monkeypatch.setattr(command, "bench_for", lambda meter, device: replay)
        return replay

    return install


def rows(path):
    with path.open(encoding="utf-8") as text:
        return {row["row_id"]: row for row in csv.DictReader(text)}


def test_what_went_in_comes_out(measured):
    found = rows(measured)
    assert len(found) == len(session())
    for name, truth in session().items():
        row = found[name]
        assert float(row["avg_power_w"]) == approx(truth.watts, rel=0.02, abs=0)  # noise 1 %, drift 0.5 % in ten minutes
        assert row["trust"] == "A"
        if row["unit"] != "second":
            assert float(row["time_s_per_unit"]) == approx(truth.seconds, rel=0.01, abs=0)
            assert float(row["energy_j_per_unit"]) == approx(float(row["avg_power_w"]) * float(row["time_s_per_unit"]), rel=1e-4, abs=0)


def test_every_row_says_where_it_comes_from(measured):
    for row in rows(measured).values():
        assert row["hardware"] == "NVIDIA H200"
        assert (row["power_limit_w"], row["n_gpus"], row["repeats"]) == ("700", "1", "3")
        assert float(row["window_s"]) == approx(2.0, rel=0.1, abs=0)
        assert "NVIDIA 580.00; GPU-0000-0; 20" in row["source_ref"]
        assert "torch " in row["source_ref"]
        assert row["energy_scope"] == "1 GPU, NVML energy counter"


def test_validate_reads_and_predicts_every_row(measured, capsys):
    read, faults = read_data(measured)
    done = evaluate(read)
    assert not faults and not done.faults and not done.skipped
    assert len(done.results) == len(session())
    assert {result.why_not for result in done.results} == {"", "host-bound"}  # paced rows are reported apart
    assert main(["validate", "--data", str(measured), "--limit", "3"]) == 0
    assert "h200-sxm · decode" in capsys.readouterr().out


def test_the_card_that_the_session_was_made_with_is_predicted_to_the_noise(measured):
    use(true_profile())
    try:
        done = evaluate(read_data(measured)[0])
    finally:
        use()
    errors = [abs(error) for result in done.results for metric in ("time", "energy") if (error := result.error(metric)) is not None]
    assert len(errors) == 2 * len(done.results) - 2  # idle has no time
    assert max(errors) < 0.02
    assert sum(errors) / len(errors) < 0.01


def test_predictions_are_written_down_before_anything_is_measured(measured):
    before, after = rows(measured.with_suffix(".predicted.csv")), rows(measured)
    assert set(before) == set(after)
    for name, row in before.items():
        assert "energy_j_per_unit" not in row or not row["energy_j_per_unit"]
        assert row["predicted_energy_j"] == after[name]["predicted_energy_j"] != ""


def test_nothing_but_queries_is_asked_of_the_card(bench, tmp_path):
    replay = bench()
    assert main(["measure", "--suite", "idle", "--out", str(tmp_path / "idle.csv")]) == 0
    assert replay.nvml.called
    assert all(name in ("nvmlInit", "nvmlShutdown") or "Get" in name for name in replay.nvml.called)
    assert not replay.nvml.open


def test_rows_that_the_card_cannot_run_are_listed_and_the_rest_is_written(bench, tmp_path, capsys):
    bench(missing="fp8")
    assert main(["measure", "--suite", "kernels", "--out", str(tmp_path / "k.csv"), "--repeats", "1", "--window", "0.5"]) == 0
    assert not [name for name in rows(tmp_path / "k.csv") if "fp8" in name]
    assert "4 rows left out:" in capsys.readouterr().out


def test_another_power_cap_is_written_down_and_predicted(bench, tmp_path):
    bench(limit=500.0)
    assert main(["measure", "--suite", "kernels", "--predict", "--out", str(tmp_path / "k.csv"), "--repeats", "1", "--window", "0.5"]) == 0
    found = rows(tmp_path / "k.csv")
    assert {row["power_limit_w"] for row in found.values()} == {"500"}
    assert max(float(row["predicted_power_w"]) for row in found.values()) == approx(500, rel=1e-4, abs=0)


def refused(given, capsys, *texts):
    assert main(["measure", *given]) == 2
    message = capsys.readouterr().err
    for text in texts:
        assert text in message


def test_a_card_without_a_counter_is_read_by_its_power_sensor(bench, tmp_path):
    replay = bench(errors={"nvmlDeviceGetTotalEnergyConsumption": NVMLError(3, "Not Supported")})
    assert main(["measure", "--suite", "kernels", "--out", str(tmp_path / "k.csv")]) == 0
    for name, row in rows(tmp_path / "k.csv").items():
        assert row["energy_scope"] == "1 GPU, NVML power readings, integrated"
        assert float(row["avg_power_w"]) == approx(replay.session[name].watts, rel=0.03, abs=0)


def test_a_card_that_nobody_described_needs_a_name_to_be_predicted(bench, tmp_path, capsys):
    bench(names=("NVIDIA Q900",))
    refused(["--predict", "--out", str(tmp_path / "m.csv")], capsys, "no part called 'NVIDIA Q900': say with --hw NAME")
    assert list(tmp_path.iterdir()) == []
    assert main(["measure", "--suite", "idle", "--out", str(tmp_path / "m.csv")]) == 0
    assert "note: the catalogue has no part called 'NVIDIA Q900'" in capsys.readouterr().out


def test_a_busy_card_leaves_no_file(bench, tmp_path, capsys):
    bench(Card(pids=[77]))
    refused(["--out", str(tmp_path / "m.csv")], capsys, "error: NVIDIA H200 is busy: process 77.")
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_turns_up_on_the_way_leaves_no_file(bench, tmp_path, capsys):
    replay = bench()
    prepare = replay.prepare

    def disturbed(row):
        replay.card.pids = [1, 77] if "zeros" in row.row_id else [1]  # 1: this process, as a container shows it
        return prepare(row)

    replay.prepare = disturbed
    refused(["--suite", "kernels", "--out", str(tmp_path / "m.csv")], capsys, "became busy while 'kernels: matmul bf16 zeros", "process 77")
    assert list(tmp_path.iterdir()) == []


def test_an_interruption_leaves_no_half_file(bench, tmp_path, monkeypatch):
    replay = bench()
    monkeypatch.setattr(replay, "prepare", lambda row: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        main(["measure", "--suite", "idle", "--out", str(tmp_path / "m.csv")])
    assert list(tmp_path.iterdir()) == []
    assert not replay.nvml.open


def test_files_are_not_overwritten_nor_put_nowhere(bench, tmp_path, capsys):
    bench()
    (tmp_path / "m.csv").write_text("mine")
    refused(["--out", str(tmp_path / "m.csv")], capsys, "exists; measurements are not overwritten")
    refused(["--out", str(tmp_path / "no" / "m.csv")], capsys, "does not exist or may not be written to")
    refused([], capsys, "--out is missing", "--list")
    assert (tmp_path / "m.csv").read_text() == "mine"


def test_a_processor_is_measured_with_real_work_in_real_time(tmp_path, monkeypatch):
    meter = SteadyMeter(watts=90.0, called="AMD EPYC 7763 64-Core Processor")
    meter.kind = "rapl"
    monkeypatch.setattr(command, "open_meter", lambda kind, device: meter)
    given = ["measure", "--suite", "idle", "--predict", "--hw", "EPYC 7763", "--warmup", "0.1", "--window", "0.2", "--repeats", "2"]
    assert main([*given, "--out", str(tmp_path / "m.csv")]) == 0
    found = rows(tmp_path / "m.csv")
    assert [float(row["avg_power_w"]) for row in found.values()] == approx([90.0, 90.0], rel=0.2, abs=0)
    assert {row["hardware"] for row in found.values()} == {"EPYC 7763"}
    assert {row["energy_scope"] for row in found.values()} == {"processor packages, RAPL energy counter"}
    assert all(row["predicted_power_w"] for row in found.values())
    assert meter.closed


def test_without_a_gpu_in_torch_it_is_said(bench, monkeypatch, tmp_path, capsys):
    replay = bench()
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "pynvml", replay.nvml)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    refused(["--out", str(tmp_path / "m.csv")], capsys, "sees no GPU: install a build with CUDA")
    assert list(tmp_path.iterdir()) == []


def test_the_list_needs_no_device(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert main(["measure", "--list", "--suite", "idle"]) == 0
    assert capsys.readouterr().out == "idle: idle\nidle: context\n\n2 rows, about 16 seconds and what preparing them takes\n"


def test_the_help_says_that_nothing_is_set_and_what_comes_next(capsys):
    with pytest.raises(SystemExit):
        main(["measure", "--help"])
    text = capsys.readouterr().out
    for part in ("Nothing is ever set", "energy counter", "validate --data measured.csv", "calibrate --from measured.csv", "Apple"):
        assert part in text
