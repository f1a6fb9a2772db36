"""What a reader must find in the text of an estimate: the answer, four cuts that close, warnings first, nothing lost."""

import math
from dataclasses import replace
from math import fsum

import pytest
from hypothesis import given

from estimator import Inference, Training, estimate
from estimator.report.cuts import TOP, TOTAL, kernels, layers, phases, tables
from estimator.report.table import WIDTH, heading, notes, render, warnings
from tests.report.made import POINT, entry, estimate_of, estimates


@given(estimates)
def test_every_cut_sums_to_the_energy_of_the_estimate(answer):
    for table in tables(answer):
        rows = [row for row in table.rows if row["name"] != TOTAL]
        assert math.isclose(fsum(row["energy"] for row in rows), answer.energy, rel_tol=1e-12)
        assert math.isclose(fsum(row["share"] for row in rows), 1.0, rel_tol=1e-12)


@given(estimates)
def test_the_columns_of_every_table_stand_under_their_rules(answer):
    for block in render(answer).split("\n\n")[1:5]:
        _, rule, *rows = block.splitlines()
        edges = [index for index, mark in enumerate(rule) if mark == " "]
        for row in rows:
            assert all(row.ljust(len(rule))[edge] == " " for edge in edges if not row.startswith("*"))


def test_the_heading_gives_the_answer_in_joules_watt_hours_seconds_and_watts():
    # 3600 J in 2 entries of 1 s: 1 Wh, 1800 W; 4 tokens of 2 samples
    answer = estimate_of(("prefill", [entry(600.0)]), ("decode", [entry(3000.0)]), tokens=4, samples=2)
    title, run, figures, per = heading(answer).splitlines()
    assert title == "a model on a chip"
    assert run == "Inference(batch=2), stack eager"
    assert figures == "energy 3.6 kJ (1 Wh) · time 2 s · mean power 1.8 kW"
    assert per == "900 J per token · 1.8 kJ per sample"


def test_phases_show_their_power_and_operating_point_and_end_in_the_total():
    # prefill: 30 J in 1 s; decode: 10 J in 2 entries of 1 s; together 40 J in 3 s = 13.3 W
    answer = estimate_of(("prefill", [entry(30.0)]), ("decode", [entry(4.0), entry(6.0)]))
    table = phases(answer)
    titles = list(table.columns)
    assert titles == ["phase", "energy", "share", "time", "power", "clock", "voltage", "work", "DRAM traffic"]
    assert table.cells() == [
        ["prefill", "30 J", "75.0%", "1 s", "30 W", "1 GHz", "800 mV", "1 FLOP", "8 B"],
        ["decode", "10 J", "25.0%", "2 s", "5 W", "1 GHz", "800 mV", "2 FLOP", "16 B"],
        ["total", "40 J", "100.0%", "3 s", "13.3 W", "", "", "3 FLOP", "24 B"],
    ]


def test_a_phase_that_hides_behind_others_has_joules_but_no_power_of_its_own():
    answer = estimate_of(("forward", [entry(30.0)]), ("communication", [replace(entry(10.0), time=0.0)]))
    hidden = phases(answer).cells()[1]
    assert hidden[:5] == ["communication", "10 J", "25.0%", "", ""]


@pytest.mark.parametrize(
    ("stretch", "said"),
    [
        (1.0, "* at the power cap: the clock is lowered until the mean is 100 W"),
        (1.5, "the clock is lowered and the chip pauses until the mean is 100 W"),
    ],
)
def test_a_phase_at_the_power_cap_carries_a_star_that_is_explained(stretch, said):
    text = render(estimate_of(("decode", [entry(1.0)]), point=replace(POINT, capped=True, stretch=stretch)))
    assert "decode*" in text
    assert said in text


def test_no_star_where_the_cap_is_not_met():
    assert "*" not in render(estimate_of(("decode", [entry(1.0)])))


def test_a_small_share_is_not_shown_as_nothing():
    cells = layers(estimate_of(("decode", [entry(1e4, "large"), entry(1.0, "small")]))).cells()
    assert [row[2] for row in cells] == ["100.0%", "<0.1%"]


def test_a_long_list_of_layers_shares_a_row_and_a_short_one_does_not():
    many = entry(float(TOP + 1), "model.layers.*", layers=tuple(range(TOP + 1)))
    few = [entry(1.0, f"stages.{index}") for index in range(3)]
    rows = {row["name"]: row["energy"] for row in layers(estimate_of(("forward", [many, *few]))).rows}
    assert rows == {f"model.layers.0–{TOP}": TOP + 1.0, "stages.0": 1.0, "stages.1": 1.0, "stages.2": 1.0}


def test_kernels_of_repeated_layers_are_added_up_by_phase_and_kind():
    blocks = [entry(1.0, f"stages.{stage}.layers.{layer}") for stage in range(2) for layer in range(3)]
    rows = kernels(estimate_of(("forward", blocks), ("backward", [entry(2.0, "stages.0.layers.0")]))).cells()
    assert rows == [
        ["forward", "6 J", "75.0%", "6 s", "6", "mm", "stages.*.layers.*"],
        ["backward", "2 J", "25.0%", "1 s", "1", "mm", "stages.*.layers.*"],
    ]


def test_what_lies_below_the_largest_is_added_up():
    entries = [entry(float(100 - index), f"part{index}") for index in range(TOP + 3)]
    *shown, others = kernels(estimate_of(("forward", entries))).rows
    assert [row["module"] for row in shown] == [f"part{index}" for index in range(TOP)]
    assert others["name"] == "3 others"
    assert math.isclose(others["energy"], 92.0 + 91.0 + 90.0, rel_tol=1e-12)


def test_warnings_come_before_the_tables_and_the_other_assumptions_after():
    answer = estimate_of(("decode", [entry(1.0)]), assumptions=("all start together", "WARNING: does not fit: needs 2 GB"))
    text = render(answer)
    assert text.index("WARNING: does not fit") < text.index("phase") < text.index("assumed: all start together")
    assert "assumed: WARNING" not in text


def test_operations_without_a_rule_are_a_warning_with_their_count():
    missed = estimate_of(("decode", [entry(1.0)]), coverage={"aten.unheard_of": 3})
    assert warnings(missed) == ["WARNING: operations without a rule, counted as one vector FLOP per output element: aten.unheard_of ×3"]
    assert "every operation was counted" not in render(missed)
    assert "every operation was counted" in render(replace(missed, coverage={}))


RUNS = [
    ("llama-3.1-8b", "h100-sxm", Inference(batch=8)),
    ("gpt2", "v100-sxm2-16gb", Training(steps=100, batch=64, sequence_tokens=1024)),
    ("resnet-50", "a100-sxm-80gb", Inference(batch=32)),
]


@pytest.mark.parametrize(("model", "hw", "run"), RUNS, ids=[model for model, *_ in RUNS])
def test_no_name_or_note_is_cut_off_and_figures_stay_within_the_width(model, hw, run):
    answer = estimate(model, hw, run)
    text = render(answer)
    words = " ".join(text.split())
    assert all(" ".join(line.split()) in words for line in [*warnings(answer), *notes(answer)])
    assert all(row.get("module", row["name"]) in text for table in tables(answer) for row in table.rows)
    first, last = text.split("\n\n")[0], text.split("\n\n")[-1]
    assert all(len(line) <= WIDTH for line in [*first.splitlines(), *last.splitlines()])
    for table in tables(answer)[:3]:
        assert any(line.startswith(next(iter(table.columns))) and len(line) <= WIDTH for line in text.splitlines())


def test_a_heading_shows_amounts_and_what_is_not_as_usual():
    trained = render(estimate("gpt2", "h100", Training(batch=2, sequence_tokens=64, recompute="full"))).splitlines()[1]
    assert trained == "Training(batch=2, sequence_tokens=64, optimizer=adamw, recompute=full), stack eager"


def test_a_run_that_does_not_fit_says_so_under_the_heading():
    text = render(estimate("gpt2", "v100-sxm2-16gb", Training(batch=64, sequence_tokens=1024)))
    assert "WARNING: does not fit" in text.split("\n\n")[1]
