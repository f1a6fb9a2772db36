"""Rows as work: each is named once and predicted, runs at tiny sizes on a processor, and does the FLOP that are predicted."""

import pytest
import torch
from pytest import approx
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from estimator.errors import InvalidSetting, UnknownName
from estimator.measurement.suites import rows_of, suite_names
from estimator.measurement.tidy import Site
from estimator.measurement.window import Plan, measure_row
from estimator.measurement.work.bench import TorchBench
from estimator.model.rules import work_of
from estimator.validation import kernels
from estimator.validation.evaluate import foretell
from estimator.validation.rows import NotPredicted, Row, RowFault
from tests.measurement.steady import SteadyMeter

H200 = Site("NVIDIA H200", 700.0, "test")
TINY = {
    "m": "64", "n": "128", "k": "32", "size": "4096", "loops": "4", "fma_per_element": "8", "num_heads": "4", "num_kv_heads": "2",
    "head_dim": "16", "batch_size": "2", "input_len": "32", "context_len": "48", "calls": "2", "pause_s": "0.001", "interval_s": "0.0001",
}  # fmt: skip
GPT = {
    "model": "GPT2LMHeadModel",
    "format": "fp32",
    "config": {"n_layer": 2, "n_embd": 32, "n_head": 2, "vocab_size": 64, "n_positions": 64},
}


def tiny(row):
    return Row(row.file, 0, {name: TINY.get(name, value) for name, value in row.columns.items()})


def distinct(rows):
    return list({(row.text("task") or row.text("op"), row.text("precision"), row.text("operands")): row for row in rows}.values())


def test_every_row_has_a_name_of_its_own_and_a_prediction():
    rows = [H200.placed(row) for row in rows_of()]
    assert len({row.row_id for row in rows}) == len(rows) > 60
    for row in rows:
        said = foretell(row)
        assert 50 < said.power <= 700 * (1 + 1e-9)
        assert said.energy > 0


def test_suites_are_chosen_by_name_and_idle_comes_before_anything_holds_the_device():
    assert suite_names() == ["idle", "kernels", "llm", "training"]
    assert rows_of()[0].text("op") == "idle"
    assert {row.text("kind") for row in rows_of(["llm", "training"])} == {"model_step", "optimizer_step"}
    with pytest.raises(UnknownName, match="unknown suite 'kernel'. Nearest: kernels"):
        rows_of(["kernel"])


@pytest.mark.parametrize("row", distinct(rows_of(["idle", "kernels"])), ids=lambda row: row.row_id)
def test_every_kind_of_kernel_runs(row):
    launch = TorchBench("cpu").prepare(tiny(row))
    queued = launch(2)
    queued.wait()
    assert queued.done()


COUNTED = ("matmul", "context_attention", "generation_attention")  # by torch, fp8 apart
MULTIPLIES = [row for row in distinct(rows_of(["kernels"])) if row.text("task") in COUNTED and row.text("precision") != "fp8"]


@pytest.mark.parametrize("row", MULTIPLIES, ids=lambda row: row.row_id)
def test_what_runs_does_the_matrix_flop_that_are_predicted(row):
    small = tiny(row)
    launch = TorchBench("cpu").prepare(small)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):  # the counter sees through that one alone
        launch(1)
    assert counter.get_total_flops() == sum(work_of(kernel).matmul_flop for kernel in kernels.BENCHMARKS[row.text("task")](small)) > 0


def test_streams_move_the_bytes_of_their_arrays():
    # 4096 fp32 numbers are 16 KiB; a copy reads and writes them, in L2 both arrays stay there
    moved = {}
    for task in ("memory_read", "memory_write", "memory_copy", "l2_copy", "vector_fma"):
        row = tiny(next(row for row in rows_of(["kernels"]) if row.text("task") == task))
        (kernel,) = kernels.BENCHMARKS[task](row)
        moved[task] = work_of(kernel).read, work_of(kernel).write, work_of(kernel).vector_flop
    size = 4096 * 4
    assert moved["memory_read"] == (size, 4, 4096)
    assert moved["memory_write"] == (0, size, 0)
    assert moved["memory_copy"] == (size, size, 0)
    assert moved["l2_copy"] == (2 * size, 0, 0)
    assert moved["vector_fma"] == (size, size, 8 * 4096)  # one lane operation for each multiply-add


def test_arrays_that_fit_in_l2_leave_memory_alone_and_larger_ones_do_not():
    columns = {"kind": "microbench", "task": "l2_copy", "precision": "fp32", "unit": "kernel call", "row_id": "x"}
    small, large = (foretell(H200.placed(Row("t", 0, columns | {"size": str(2**power)}))) for power in (20, 28))
    traffic = [prediction.phases[0].entries[0].traffic for prediction in (small, large)]
    assert traffic[0]["memory"] == 0
    assert traffic[0]["l2"] == approx(2 * 4 * 2**20, rel=1e-9, abs=0)
    assert traffic[1]["memory"] == approx(2 * 4 * 2**28, rel=1e-9, abs=0)


def test_zeros_draw_less_than_random_numbers_and_unknown_operands_are_refused():
    columns = dict(H200.placed(rows_of(["kernels"])[0]).columns)
    power = {kind: foretell(Row("t", 0, columns | {"operands": kind})).power for kind in ("zeros", "ones", "random")}
    assert power["zeros"] < power["ones"] < power["random"]
    with pytest.raises(RowFault, match="holds 'noise': unknown operands 'noise'"):
        foretell(Row("t", 0, columns | {"operands": "noise"}))
    with pytest.raises(InvalidSetting, match="operands='ones': expected random or zeros"):
        TorchBench("cpu").prepare(tiny(Row("t", 0, columns | {"operands": "ones"})))


def test_waiting_longer_between_launches_lowers_power_towards_the_idle_card():
    rows = [H200.placed(row) for row in rows_of(["kernels"]) if row.text("task") == "launch_gap"]
    powers = [foretell(row).power for row in rows]
    idle = foretell(H200.placed(rows_of(["idle"])[1])).power
    assert powers == sorted(powers, reverse=True)
    assert powers[-1] == approx(idle, rel=0.05, abs=0)


def test_a_duty_cycle_is_its_burst_and_its_rest():
    row = H200.placed(next(row for row in rows_of(["kernels"]) if row.text("task") == "duty_cycle"))
    cycle, idle = foretell(row), foretell(H200.placed(rows_of(["idle"])[1]))
    pause = row.number("pause_s")
    busy = sum(entry.time for entry in cycle.phases[0].entries)
    assert cycle.time == approx(busy + pause, rel=1e-9, abs=0)
    assert cycle.energy == approx(cycle.phases[0].point.power * busy + idle.power * pause, rel=0.01, abs=0)


@pytest.mark.parametrize("task", ["prefill", "decode", "training"])
def test_whole_models_run_their_steps(task, monkeypatch):
    models = pytest.importorskip("estimator.measurement.work.models")
    monkeypatch.setattr(models.zoo, "entry", lambda name: GPT)
    columns = {"kind": "model_step", "task": task, "model_id": "tiny", "batch_size": "2", "input_len": "16", "context_len": "16"}
    launch = TorchBench("cpu").prepare(Row("t", 0, columns | {"optimizer": "adamw"}))
    launch(3).wait()


def test_every_decoded_token_sees_the_same_cache():
    models = pytest.importorskip("estimator.measurement.work.models")
    row = Row("t", 0, {"task": "decode", "batch_size": "2", "context_len": "16"})
    with torch.inference_mode():
        call = models.step(row, torch.device("cpu"), GPT)
        flop = []
        for _ in range(3):
            with FlopCounterMode(display=False) as counter:
                call()
            flop.append(counter.get_total_flops())
    assert flop[0] == flop[1] == flop[2] > 0


def test_training_changes_the_weights():
    models = pytest.importorskip("estimator.measurement.work.models")
    built = []
    make = models._built
    models._built = lambda *given: built.append(make(*given)) or built[-1]
    try:
        row = Row("t", 0, {"task": "training", "batch_size": "2", "input_len": "16", "optimizer": "adamw"})
        call = models.step(row, torch.device("cpu"), GPT)
        before = built[0].lm_head.weight.detach().clone()
        call()
    finally:
        models._built = make
    assert not torch.equal(before, built[0].lm_head.weight)
    assert all(parameter.grad is None for parameter in built[0].parameters())


def test_what_the_device_cannot_do_is_a_reason_and_not_a_crash(monkeypatch):
    def refuse(*_, **__):
        raise RuntimeError("fp8 needs compute capability 8.9\nsecond line")

    monkeypatch.setattr(torch, "_scaled_mm", refuse)
    row = next(row for row in rows_of(["kernels"]) if row.text("precision") == "fp8")
    with pytest.raises(NotPredicted, match="this device or this torch cannot do it: fp8 needs compute capability 8.9$"):
        TorchBench("cpu").prepare(tiny(row))


def test_real_work_is_measured_in_real_time():
    row = tiny(rows_of(["kernels"])[0])
    found = measure_row(row, TorchBench("cpu"), SteadyMeter(watts=120.0), Plan(0.1, 0.3, 2))
    assert found.power == approx(120.0, rel=0.25, abs=0)  # a loaded machine may be late by a few polls of 20 ms
    assert 0 < found.time < 0.1
