"""Rows of the tidy schema: what counts as measured, what is reported apart, and which cell a fault names."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator.errors import InvalidSetting
from estimator.validation.reading import read_csv, read_folder
from estimator.validation.rows import Row, RowFault
from estimator.validation.zeus_trace import COLUMNS

HEAD = "row_id,kind,task,hardware,unit,energy_j_per_unit,time_s_per_unit,avg_power_w,power_limit_w,trust,split,stall_flag,host_bound_flag"


def row(**columns):
    return Row("some.csv", 2, {name: str(value) for name, value in columns.items()})


@given(st.floats(1e-9, 1e9), st.floats(1e-9, 1e9))
def test_energy_is_power_times_time_where_only_those_are_given(power, time):
    assert math.isclose(row(unit="token", avg_power_w=power, time_s_per_unit=time).energy, power * time, rel_tol=1e-12)


def test_a_unit_of_one_second_makes_the_energy_a_power_and_leaves_no_time_to_score():
    idle = row(unit="second", avg_power_w=60, time_s_per_unit=1)
    assert (idle.energy, idle.time, idle.given_time) == (60.0, None, 1.0)


def test_energy_that_is_a_product_of_rated_power_and_hours_is_not_taken_as_measured():
    assert row(unit="run", energy_j_per_unit=1e9, time_s_per_unit=1e6, split="timecheck_only").energy is None


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"trust": "A-"}, ""),
        ({"trust": "B"}, ""),
        ({"trust": "C (relative only)"}, "low trust"),
        ({"trust": "A", "stall_flag": "True"}, "stalled"),
        ({"trust": "A", "host_bound_flag": "true"}, "host-bound"),
        ({"trust": "C", "split": "dev_hostbound"}, "host-bound"),
        ({"trust": "A", "split": "timecheck_only"}, "time check only"),
    ],
)
def test_flags_say_why_a_row_does_not_count(columns, reason):
    assert row(**columns).apart == reason


def test_ninety_percent_of_the_limit_of_all_devices_is_at_the_cap():
    assert row(avg_power_w=630, power_limit_w=700).cap == "at cap"
    assert row(avg_power_w=629, power_limit_w=700).cap == "below cap"
    assert row(avg_power_w=1259, power_limit_w=700, n_gpus=2).cap == "below cap"
    assert row(avg_power_w=600).cap == ""


@pytest.mark.parametrize("text", ["twelve", "nan", "inf", "1,5"])
def test_a_cell_that_is_no_number_names_its_column(text):
    with pytest.raises(RowFault, match="expected a (finite )?number") as fault:
        row(m=text).number("m")
    assert fault.value.column == "m"
    with pytest.raises(RowFault, match="is empty"):
        row(m=" ").number("m")


def test_a_count_is_rounded_and_never_invented():
    assert row(batch_size="7.98").whole("batch_size") == 8
    assert row(batch_size="0.4").whole("batch_size") == 1
    for text in ("0", "-5"):
        with pytest.raises(RowFault, match=f"holds '{text}': expected a number above zero"):
            row(m=text).whole("m")


def test_a_missing_column_loses_its_file_and_a_ragged_line_only_itself(tmp_path):
    (tmp_path / "good.csv").write_text(f"{HEAD}\na,microbench,idle,H100,second,70,,70,700,A,dev,,\nb,too,few\n")
    (tmp_path / "bad.csv").write_text("row_id,kind,hardware\na,microbench,H100\nb,microbench,H100\n")
    (tmp_path / "other.csv").write_text("name,height\nx,1\n")
    rows, faults = read_folder(tmp_path)
    assert [one.row_id for one in rows] == ["a"]
    assert [str(fault) for fault in faults] == [
        "bad.csv, column unit: is missing: no row of the file can be used",
        "good.csv, row 3: has more or fewer cells than the header",
    ]
    assert [fault.rows for fault in faults] == [2, 1]


def test_a_file_without_anything_measured_is_a_fault(tmp_path):
    path = tmp_path / "empty.csv"
    path.write_text("row_id,kind,hardware,unit\na,microbench,H100,second\n")
    rows, (fault,) = read_csv(path)
    assert rows == []
    assert "energy_j_per_unit or time_s_per_unit or avg_power_w" in str(fault)


def test_a_folder_without_measurements_says_what_is_expected(tmp_path):
    with pytest.raises(InvalidSetting, match="holds no measured rows: expected CSV files with the columns row_id, kind"):
        read_folder(tmp_path)
    with pytest.raises(InvalidSetting, match="no such file or folder"):
        read_folder(tmp_path / "absent")


def test_a_zeus_trace_is_read_in_its_own_format(tmp_path):
    (tmp_path / "summary_power_v100.csv").write_text(",".join(COLUMNS) + "\nsquad,bert_base_uncased,24,AdamW,200,1000.0,180.0\n")
    (tmp_path / "summary_power_a40.csv").write_text("dataset,network\nsquad,x\n")
    (one,), (fault,) = read_folder(tmp_path)
    assert (one.text("kind"), one.text("optimizer"), one.text("hardware")) == ("training_epoch", "adamw", "v100")
    assert (one.energy, one.time, one.number("input_len")) == (180_000.0, 1000.0, 384.0)
    assert str(fault).startswith("summary_power_a40.csv: has no column batch_size, optimizer")


def test_a_leaderboard_is_read_in_its_own_format(tmp_path):
    data = tmp_path / "public" / "data"
    (data / "tasks").mkdir(parents=True)
    (data / "index.json").write_text('{"models": {"a/b": {"weight_precision": "fp8"}}}')
    (data / "tasks" / "gpqa.json").write_text(
        '{"configurations": [{"model_id": "a/b", "gpu_model": "H100", "num_gpus": 2, "avg_batch_size": 7.9, "energy_per_token_joules": 0.5,'
        ' "energy_per_request_joules": 500, "output_throughput_tokens_per_sec": 100}, {"model_id": "a/b"}]}'
    )
    (data / "tasks" / "broken.json").write_text("[]")
    (one,), faults = read_folder(tmp_path)
    # 500 J a request at 0.5 J a token are 1000 tokens; 100 tokens a second at 0.5 J draw 50 W
    assert (one.number("output_len"), one.time, one.number("avg_power_w")) == (1000.0, 0.01, 50.0)
    assert (one.text("precision"), one.whole("n_gpus")) == ("fp8", 2)
    assert [str(fault)[:40] for fault in faults] == ["broken.json: is no task file of the lead", "gpqa.json, row 2: has no gpu_model, num_"]
