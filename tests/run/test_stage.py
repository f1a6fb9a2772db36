"""Stages of a training run are checked when they are described, and each is the run with what differs in it."""

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator import Parallel, Stage, Training
from estimator.errors import InvalidSetting, UnknownName
from estimator.run.stage import WHOLE


@given(st.integers(1, 10**6), st.integers(1, 4096), st.integers(1, 1024))
def test_a_stage_is_the_run_with_what_differs_in_it(steps, sequence, batch):
    run = Training(
        global_batch=7, precision="fp8", stages=[Stage(steps=steps, sequence_tokens=sequence, global_batch=batch), Stage(steps=1)]
    )
    first, second = (stage.of(run) for stage in run.stages)
    assert first == Training(steps=steps, sequence_tokens=sequence, global_batch=batch, precision="fp8")
    assert second == Training(steps=1, global_batch=7, precision="fp8")
    assert run.total_steps == steps + 1


def test_stages_without_a_name_are_called_by_their_number():
    run = Training(stages=[Stage(steps=1), Stage(steps=2, name="long"), Stage(steps=3)])
    assert [stage.name for stage in run.stages] == ["1", "long", "3"]


@pytest.mark.parametrize("name", [field.name for field in fields(Training) if field.name not in WHOLE])
def test_a_stage_takes_every_setting_of_a_run(name):
    assert Stage(**{name: getattr(Training(), name)}).settings == {name: getattr(Training(), name)}


def test_a_stage_is_spread_as_the_run_unless_it_says_otherwise():
    run = {"parallel": Parallel(data=8), "devices": None}
    assert Stage(steps=1).spread(**run) == run
    assert Stage(steps=1, devices=4).spread(**run) == {"parallel": None, "devices": 4}
    assert Stage(steps=1, parallel=Parallel(tensor=2)).spread(**run) == {"parallel": Parallel(tensor=2), "devices": None}
    assert [stage.count(**run) for stage in (Stage(), Stage(devices=4), Stage(parallel=Parallel(tensor=2)))] == [8, 4, 2]


@pytest.mark.parametrize("stages", [[], (), "8K", Stage(steps=1), [Training(steps=1)], {"8K": Stage(steps=1)}, 3])
def test_stages_are_a_list_of_at_least_one(stages):
    with pytest.raises(InvalidSetting, match="stages=.*expected a list of at least one"):
        Training(stages=stages)


@pytest.mark.parametrize(
    ("stage", "said"),
    [
        ({"sequence_tokens": 64}, "stage '1': nothing says how long it is"),
        ({"samples": 64}, "stage '1': nothing says how long it is"),
        ({"tokens": 1e9, "steps": 3}, "stage '1': steps and tokens were given together"),
        ({"tokens": -1}, "stage '1': tokens=-1"),
        ({"steps": 1, "frozen": 2}, "stage '1': frozen=2"),
    ],
)
def test_what_a_stage_may_not_be_is_said_with_its_name(stage, said):
    with pytest.raises(InvalidSetting, match=said):
        Training(stages=[Stage(**stage)])


@pytest.mark.parametrize("amount", [{"tokens": 1e9}, {"steps": 5}, {"epochs": 1, "samples": 10}])
def test_a_run_is_as_long_as_its_stages(amount):
    with pytest.raises(InvalidSetting, match="a run is as long as its stages; give each its own"):
        Training(stages=[Stage(steps=1)], **amount)


def test_what_belongs_to_the_whole_run_is_not_a_stages():
    with pytest.raises(InvalidSetting, match=r"runs=3: a stage has none of its own; give Training\(runs=…\)"):
        Stage(steps=1, runs=3)
    with pytest.raises(InvalidSetting, match="stages=.*a stage has none of its own"):
        Stage(stages=[Stage(steps=1)])
    with pytest.raises(UnknownName, match="unknown setting of a stage 'sequence'. Nearest: .*sequence_tokens"):
        Stage(steps=1, sequence=8)


def test_two_stages_of_one_name_are_refused():
    with pytest.raises(InvalidSetting, match="name='2': two stages are called so"):
        Training(stages=[Stage(steps=1, name="2"), Stage(steps=1)])


@pytest.mark.parametrize("spread", [{"devices": 0}, {"devices": 1.5}, {"parallel": {"tensor": 2}}, {"name": 3}])
def test_where_a_stage_runs_is_checked(spread):
    with pytest.raises(InvalidSetting, match=f"{next(iter(spread))}="):
        Stage(steps=1, **spread)
