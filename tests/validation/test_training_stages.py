"""Published runs of several stages are compared as the sum of their stages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator.validation import training_runs
from estimator.validation.rows import Row
from estimator.validation.training_runs import facts
from estimator.validation.training_stages import in_a_row, stages_of

FLM = {
    "model_id": "FLM-101B (grown)",
    "params_b": 101,
    "tokens": 311e9,
    "hardware": "NVIDIA A800-80GB",
    "n_gpus": 192,
    "unit": "run",
    "time_s_per_unit": 1893750,
    "energy_scope": "GPU TDP x hours",
}


def row(**columns):
    return Row("training_runs", 2, {name: str(value) for name, value in columns.items()})


@given(st.lists(st.floats(1e6, 1e12), max_size=5), st.floats(1e6, 1e12))
def test_stages_share_all_tokens_of_a_run(firsts, rest):
    how = {"practice": "megatron", "stages": [*({"length": length, "sequence": 4096} for length in firsts), {"sequence": 8192}]}
    found = list(stages_of(how, sum(firsts) + rest))
    assert sum(tokens for _, tokens in found) == pytest.approx(sum(firsts) + rest, rel=1e-9, abs=0)
    assert [one["sequence"] for one, _ in found] == [4096] * len(firsts) + [8192]
    assert all(one["practice"] == "megatron" for one, _ in found)


def test_a_run_without_stages_is_one():
    assert list(stages_of({"sequence": 2048}, 1e9)) == [({"sequence": 2048}, 1e9)]


def test_a_run_that_ended_early_has_fewer_stages():
    how = {"stages": [{"length": 3e9}, {"length": 2e9}, {}]}
    assert [tokens for _, tokens in stages_of(how, 4e9)] == [3e9, 1e9]
    assert [tokens for _, tokens in stages_of(how, 6e9)] == [3e9, 2e9, 1e9]


def test_the_last_stage_of_a_published_run_takes_what_is_left():
    for table in (table for table in facts()["run"] if "stages" in table):
        *firsts, last = table["stages"]
        assert "length" not in last
        assert all("length" in stage for stage in firsts)


def test_a_model_that_grew_takes_as_long_as_published_and_a_third_of_one_that_did_not():
    grown = training_runs.predict(row(**FLM))
    # 101 thousand hours of 192 devices (Li et al. 2023), within the 30 % that is asked for
    assert grown.time == pytest.approx(1893750, rel=0.30, abs=0)
    assert {phase.stage for phase in grown.phases} == {"1", "2", "3"}
    assert grown.time < 0.4 * training_runs.predict(row(**FLM | {"model_id": "101B in one size"})).time


def test_each_stage_takes_as_long_as_its_table_says():
    # days of 16, 51 and 101 billion parameters, recalled from table 1 of Li et al. 2023
    published = {"1": 9.63, "2": 5.37, "3": 6.54}
    phases = training_runs.predict(row(**FLM)).phases
    for name, days in published.items():
        seconds = sum(entry.time for phase in phases if phase.stage == name for entry in phase.entries)
        assert seconds / 86400 == pytest.approx(days, rel=0.30, abs=0)


def test_time_of_all_devices_is_counted_stage_by_stage():
    hours = FLM | {"time_s_per_unit": "", "accel_hours": 101000}
    few, many = (training_runs.predict(row(**hours | {"n_gpus": devices})) for devices in (192, 384))
    both = in_a_row([few, many])
    assert both.time == pytest.approx(few.time + many.time, rel=1e-9, abs=0)
    assert both.energy == pytest.approx(few.energy + many.energy, rel=1e-9, abs=0)
    assert few.mfu >= both.mfu >= many.mfu
    assert in_a_row([few]) is few
