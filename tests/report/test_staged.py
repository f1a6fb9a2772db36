"""A training run of several stages is the sum of its stages, in joules, seconds, FLOP and at the meter."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from estimator import Estimate, Parallel, Stage, Training, estimate
from estimator.errors import InvalidSetting, UnknownName
from estimator.report.rows import GROUPS

ADDED = ("energy", "time", "flop", "matmul_flop", "tokens", "samples", "steps", "device_time")
stages = st.fixed_dictionaries(
    {
        "tokens": st.floats(1e6, 1e10),
        "sequence_tokens": st.sampled_from([64, 256, 1000]),
        "global_batch": st.sampled_from([16, 64]),
        "devices": st.sampled_from([1, 2, 8]),
        "precision": st.sampled_from(["bf16", "fp16"]),
    }
)


def run(*settings: dict, **shared) -> Estimate:
    return estimate("gpt2", "A100", Training(stages=[Stage(**one) for one in settings]), **shared)


@pytest.fixture(scope="module")
def grown() -> Estimate:
    """A model that grows, on more and more devices, with longer sequences."""
    first = Stage(name="small", tokens=1e9, global_batch=64, sequence_tokens=512)
    last = Stage(name="large", model="gpt2-large", tokens=1e8, global_batch=64, sequence_tokens=1024, devices=8)
    return estimate("gpt2", "A100", Training(precision="bf16", stages=[first, last]), devices=2, facility=True)


@settings(max_examples=15, deadline=None)
@given(st.lists(stages, min_size=1, max_size=4))
def test_the_whole_is_the_sum_of_its_stages(given_):
    whole = run(*given_, facility="hyperscale")
    parts = list(whole.stages.values())
    for name in ADDED:
        assert getattr(whole, name) == pytest.approx(sum(getattr(one, name) for one in parts), rel=1e-12, abs=0)
    for name in ("energy", "wall", "kwh", "co2e_kg", "water_l", "cost", "time"):
        assert getattr(whole.facility, name) == pytest.approx(sum(getattr(one.facility, name) for one in parts), rel=1e-12, abs=0)
    for name, count in whole.switching_events.items():
        assert count == pytest.approx(sum(one.switching_events.get(name, 0) for one in parts), rel=1e-12, abs=0)
    assert [row["energy"] for row in whole.rows("stage")] == pytest.approx([one.energy for one in parts], rel=1e-12, abs=0)
    assert min(one.mfu for one in parts) * (1 - 1e-12) <= whole.mfu <= max(one.mfu for one in parts) * (1 + 1e-12)


@settings(max_examples=6, deadline=None)
@given(stages)
def test_one_stage_is_a_run_without_stages(one):
    plain, where = {name: value for name, value in one.items() if name != "devices"}, one["devices"]
    alone = estimate("gpt2", "A100", Training(**plain), devices=where, facility=True)
    staged = run(plain, devices=where, facility=True)
    assert [replace(phase, stage="") for phase in staged.phases] == list(alone.phases)
    assert staged.figures() == alone.figures()
    assert staged.facility == alone.facility
    assert (staged.mfu, staged.devices, staged.numbers) == (alone.mfu, alone.devices, alone.numbers)
    assert staged.interval(0.9) == pytest.approx(alone.interval(0.9), rel=1e-9, abs=0)
    of = "facility.kwh"
    assert staged.interval(0.9, of=of) == pytest.approx(alone.interval(0.9, of=of), rel=1e-9, abs=0)
    assert {row["name"] for row in staged.sensitivity()} == {row["name"] for row in alone.sensitivity()}


@settings(max_examples=6, deadline=None)
@given(stages, st.integers(1, 1000))
def test_a_stage_cut_in_halves_takes_the_same(one, steps):
    halves = {name: value for name, value in one.items() if name != "tokens"} | {"steps": steps}
    whole, cut = run(halves | {"steps": 2 * steps}, facility=True), run(halves, halves, facility=True)
    for name in (*ADDED, "power", "mfu", "energy_per_token"):
        assert getattr(cut, name) == pytest.approx(getattr(whole, name), rel=1e-12, abs=0)
    for of in ("energy", "time", "facility.kwh", "facility.power"):
        assert cut.interval(0.9, of=of) == pytest.approx(whole.interval(0.9, of=of), rel=1e-9, abs=0)


@settings(max_examples=5, deadline=None)
@given(stages, stages)
def test_the_order_of_stages_changes_no_sum(one, other):
    there, back = run(one, other), run(other, one)
    assert there.figures() == pytest.approx(back.figures(), rel=1e-12, abs=0)


@pytest.mark.parametrize("by", GROUPS)
def test_every_grouping_adds_up_over_stages(grown, by):
    assert sum(row["energy"] for row in grown.rows(by)) == pytest.approx(grown.energy, rel=1e-12, abs=0)


def test_a_model_may_grow_from_stage_to_stage(grown):
    small, large = grown.stages["small"], grown.stages["large"]
    assert grown.model == "gpt2 → gpt2-large"
    assert (small.model, small.devices, large.model, large.devices) == ("gpt2", 2, "gpt2-large", 8)
    assert (grown.devices, grown.parameters) == (8, large.parameters)
    alone = estimate("gpt2-large", "A100", Training(precision="bf16", tokens=1e8, global_batch=64, sequence_tokens=1024), devices=8)
    assert large.energy == alone.energy


def test_the_stages_of_one_run_share_practice_and_network():
    # alone, one device would lose nothing; in a run of which a part takes eight, it runs the same software
    first, second = run({"steps": 1}, {"steps": 1, "global_batch": 8, "devices": 8}).stages.values()
    assert {one.name: one.value for one in first.numbers} == {one.name: one.value for one in second.numbers}


def test_the_report_shows_each_stage(grown):
    text = grown.table()
    assert "Training(precision=bf16, stages=2)" in text
    assert "of 2 to 8 devices" in text
    assert any(line.split()[:4] == ["small", "gpt2", "1", "G"] for line in text.splitlines())
    assert "assumed: stage large: layout" in text
    assert "assumed: stages follow each other without a pause" in text
    assert text.count("software stack") == 1
    assert "gpt2-large" in grown._repr_html_()


def test_the_explanation_says_in_which_stage_its_kernel_is(grown):
    assert "in the phase backward, the largest part in stage small" in " ".join(grown.explain().split())


def test_power_over_the_run_goes_through_the_stages(grown):
    rows = grown.timeline()
    starts = {name: min(row["start"] for row in rows if row["stage"] == name) for name in grown.stages}
    assert starts == pytest.approx({"small": 0, "large": grown.stages["small"].time}, rel=1e-12, abs=0)
    assert rows[-1]["start"] + rows[-1]["time"] == pytest.approx(grown.time, rel=1e-12, abs=0)


def test_stages_come_back_from_json(grown):
    back = Estimate.from_json(grown.to_json())
    assert back == grown
    assert back.stages["large"].interval(0.5) == grown.stages["large"].interval(0.5)
    assert back.explain().split("\n\n")[:3] == grown.explain().split("\n\n")[:3]
    assert back.table().split("\n\n")[2] == grown.table().split("\n\n")[2]


def test_a_stage_may_be_looked_at_alone(grown):
    low, high = grown.stages["large"].interval(0.9)
    assert low < grown.stages["large"].energy < high
    assert grown.formula().energy == pytest.approx(grown.energy, rel=1e-9, abs=0)
    assert grown.best_operating_point().energy <= grown.energy * (1 + 1e-9)


def test_errors_say_which_stage_they_are_about():
    with pytest.raises(InvalidSetting, match="stage 'long': sequence_tokens=4096: 4096 tokens exceed the 1024 positions of gpt2"):
        run({"steps": 1}, {"steps": 1, "sequence_tokens": 4096, "name": "long", "devices": 2, "global_batch": 2})
    with pytest.raises(UnknownName, match="stage '2': unknown model 'gpt22'"):
        run({"steps": 1}, {"steps": 1, "model": "gpt22"})
    with pytest.raises(InvalidSetting, match="stage '1': global_batch=9: 4 replicas"):
        run({"steps": 1, "global_batch": 9, "parallel": Parallel(data=4)})


def test_a_layout_is_that_of_one_stage():
    with pytest.raises(InvalidSetting, match="stages=…: each stage has a layout of its own"):
        Parallel.best_for("gpt2", "A100", 8, 64, stages=[Stage(steps=1)])


def test_a_search_over_hyper_parameters_repeats_all_stages():
    once, twice = (estimate("gpt2", "A100", Training(runs=runs, stages=[Stage(steps=2), Stage(steps=3)])) for runs in (1, 2))
    assert (once.steps, twice.steps) == (5, 10)
    assert twice.energy == pytest.approx(2 * once.energy, rel=1e-12, abs=0)
