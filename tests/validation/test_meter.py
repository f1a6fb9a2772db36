"""What an averaging meter reads of a loop, and what benchmarks' code says about their rows."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator.hardware.catalogue import load_profile
from estimator.validation import kernels
from estimator.validation.evaluate import predict
from estimator.validation.meter import Loop, loop_of
from estimator.validation.protocol import stated, tables
from estimator.validation.rows import Row

LOOP = Loop(seconds=1.0, fewest=6, most=3000, interval=0.1, warm_up=0, pause=10.0, window=1.0)
COLUMNS = {
    "row_id": "1", "kind": "microbench", "source": "aiconfigurator", "framework": "VLLM 0.22.0", "task": "gemm", "hardware": "NVIDIA H200",
    "precision": "bfloat16", "m": "8192", "n": "8192", "k": "8192", "power_limit_w": "700", "avg_power_w": "690",
    "unit": "kernel call", "energy_j_per_unit": "1", "time_s_per_unit": "0.0016",
}  # fmt: skip


def row(**columns: str) -> Row:
    return Row("rows.csv", 2, COLUMNS | columns)


@given(st.floats(1e-5, 0.5), st.floats(0, 5), st.integers(0, 20))
def test_the_pause_fills_between_none_and_all_of_a_reading(call, pause, warm_up):
    assert 0 <= replace(LOOP, pause=pause, warm_up=warm_up).stale(call) <= 1


@given(st.floats(1e-5, 0.5), st.floats(0, 2), st.floats(0, 2))
def test_a_longer_pause_is_never_read_less(call, pause, more):
    shorter = replace(LOOP, pause=pause)
    assert replace(shorter, pause=pause + more).stale(call) >= shorter.stale(call) - 1e-12


def test_after_a_long_pause_a_loop_of_one_window_is_read_about_half():
    # Readings at 0, 0.1, …, 0.9 s (a loop of 1000 calls of 1 ms, and one more: 1.001 s, so also at 1.0 s) hold 0, 10, …, 100 % of the
    # loop: the mean of what they miss is (1 + 0.9 + … + 0) / 11 = 0.5.
    assert LOOP.stale(1e-3) == pytest.approx(0.5, rel=1e-9, abs=0)


def test_warm_up_launches_as_long_as_the_window_settle_the_reading():
    assert replace(LOOP, warm_up=7).stale(0.15) == 0
    assert replace(LOOP, warm_up=0).stale(0.15) > 0.4


def test_a_loop_without_a_pause_is_read_as_it_is():
    assert replace(LOOP, pause=0.0).stale(1e-3) == 0


def test_meters_before_ampere_and_on_ga100_do_not_lag():
    assert loop_of(row(), load_profile("a100-sxm-80gb")) is None
    assert loop_of(row(), load_profile("v100-sxm2-16gb")) is None
    assert loop_of(row(), load_profile("h200-sxm")) is not None


def test_a_row_of_an_unknown_benchmark_is_compared_with_the_power_itself():
    found = kernels.predict(row(source="somebody"))
    assert found.loop is None
    assert found.power == pytest.approx(found.phases[0].point.power, rel=1e-9, abs=0)


def test_a_compiled_kernel_is_read_low_and_its_estimate_stays():
    sizes = {"precision": "fp8_block", "n": "8192", "k": "8192", "time_s_per_unit": "0.004"}
    first, later = (predict(row(m=m, **sizes)) for m in ("32768.0", "16384.0"))
    assert first.power < 0.8 * later.power
    assert first.phases[0].point.power == pytest.approx(later.phases[0].point.power, rel=0.02, abs=0)


def test_published_first_readings_of_compiled_products_are_met():
    # aiconfigurator@095f58a, H200, fp8_block, n = 8192, k = 4096: 450 W at m = 32768 in 2.03 ms, 690 W at m = 16384 in 1.03 ms.
    sizes = {"precision": "fp8_block", "n": "8192", "k": "4096"}
    first = predict(row(m="32768.0", time_s_per_unit="0.002026529", **sizes))
    later = predict(row(m="16384.0", time_s_per_unit="0.001034848", **sizes))
    assert first.energy_in(0.002026529) / 0.002026529 == pytest.approx(449.9, rel=0.1, abs=0)
    assert later.energy_in(0.001034848) / 0.001034848 == pytest.approx(690, rel=0.05, abs=0)


def test_what_a_benchmark_states_fills_columns_that_rows_leave_empty():
    module = {"task": "mla_context_module"}
    assert stated(row(**module)).text("operands") == "ones"
    assert stated(row(operands="random", **module)).text("operands") == "random"
    assert stated(row()) == row()


def test_a_convolution_that_copies_from_the_device_in_each_call_counts_as_host_bound():
    assert stated(row(task="gdn", kernel_source="causal_conv1d_fn")).apart == "host-bound"


def test_every_fitted_pause_has_a_source_and_lies_in_its_range():
    for entry in tables()["benchmark"]["aiconfigurator"]["pause"]:
        assert entry["low"] <= entry["value"] <= entry["high"]
        assert entry["source"]


@given(st.floats(1e-5, 0.5), st.floats(0, 1), st.floats(0, 2))
def test_pauses_and_the_loop_between_them_fill_at_most_a_reading(call, pause, before):
    loop = replace(LOOP, pause=pause, before=before)
    assert loop.stale(call) >= 0 and loop.earlier(call) >= 0 and loop.stale(call) + loop.earlier(call) <= 1 + 1e-9


@given(st.floats(1e-4, 0.05), st.floats(0, 1))
def test_a_loop_before_that_draws_the_same_changes_nothing(call, pause):
    known = predict(row())
    loop = replace(LOOP, pause=pause)
    same = replace(known, loop=loop, before=400.0)
    assert same.read_of(400.0, call) == pytest.approx(replace(known, loop=loop).read_of(400.0, call), rel=1e-9, abs=0)
    assert replace(same, before=200.0).read_of(400.0, call) <= same.read_of(400.0, call)


def test_short_launches_make_a_brief_loop():
    # 3000 launches of 20 us are 60 ms; 0.15 s of launches of 70 us are 2142, and one more; a second of launches of 1 ms, and one more
    loop = replace(LOOP, short=1e-4, brief=0.15)
    assert loop.length(2e-5) == pytest.approx(0.06, rel=1e-9, abs=0)
    assert loop.length(7e-5) == pytest.approx(2143 * 7e-5, rel=1e-9, abs=0)
    assert loop.length(1e-3) == pytest.approx(1.001, rel=1e-9, abs=0)


def test_a_recurrence_is_read_after_its_convolution():
    columns = {
        "task": "gdn", "kernel_source": "chunk_gated_delta_rule", "batch_size": "8", "num_tokens": "16384", "num_k_heads": "16",
        "head_k_dim": "128", "num_v_heads": "64", "head_v_dim": "128", "d_conv": "4", "time_s_per_unit": "0.002",
    }  # fmt: skip
    after = predict(row(**columns))
    assert after.before is not None and after.before < after.power
    assert predict(row()).before is None
