"""Stages of a training run on the command line and in a file are those of the library."""

import json

import pytest

from estimator import Parallel, Stage, Training, estimate
from estimator.__main__ import main
from estimator.cli.stages import stages_of

ASK = ["gpt2", "--hw", "A100", "--train", "--devices", "2", "--global-batch", "16"]
FILE = """
[[stage]]
tokens = 1e8
sequence_tokens = 256

[[stage]]
name = "long"
steps = 5
data = 4
tensor = 2
"""
MADE = [Stage(tokens=1e8, sequence_tokens=256), Stage(name="long", steps=5, parallel=Parallel(tensor=2, data=4))]


def test_stages_on_the_line_and_in_a_file_are_the_same(tmp_path):
    path = tmp_path / "stages.toml"
    path.write_text(FILE, encoding="utf-8")
    assert stages_of(None, str(path)) == MADE
    assert stages_of(["tokens=1e8,sequence-tokens=256", "name=long, steps=5, data=4, tensor=2"], None) == MADE
    assert stages_of(None, None) is None


def test_values_are_read_as_numbers_words_and_truths():
    (stage,) = stages_of(["steps=3,recompute=full,sequence_parallel=true,frozen=0.5,model=gpt2-large"], None)
    assert stage == Stage(steps=3, recompute="full", sequence_parallel=True, frozen=0.5, model="gpt2-large")


def test_a_run_of_stages_prints_each(capsys):
    assert main([*ASK, "--stage", "tokens=1e8,sequence_tokens=256", "--stage", "name=long,steps=5"]) == 0
    out = capsys.readouterr().out
    assert "Training(global_batch=16, stages=2)" in out
    assert any(line.startswith("long ") for line in out.splitlines())


def test_rows_and_json_know_stages(capsys):
    assert main([*ASK, "--stage", "steps=1", "--stage", "name=long,steps=5", "--by", "stage"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[2:]] == ["1", "long"]
    assert main([*ASK, "--stage", "steps=1", "--stage", "steps=5", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["stages"]
    run = Training(global_batch=16, stages=[Stage(steps=1), Stage(steps=5)])
    assert list(told) == ["1", "2"]
    assert sum(one["steps"] for one in told.values()) == estimate("gpt2", "A100", run, devices=2).steps == 6


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--stage", "8192"], "--stage '8192': '8192' is no setting; expected name=value"),
        (["--stage", "steps=1", "--steps", "3"], "steps=3: a run is as long as its stages"),
        (["--stage", "steps=1", "--stages", "x.toml"], "--stage does not go with --stages"),
        (["--stages", "missing.toml"], "--stages missing.toml: No such file or directory"),
        (["--stage", "steps=1,tensr=2"], "unknown setting of a stage 'tensr'. Nearest: tensor"),
    ],
)
def test_what_is_no_stage_is_refused(capsys, options, said):
    assert main([*ASK, *options]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "said"), [("tokens = 1e9", "holds tokens; expected a [[stage]] table"), ("[[stage", "Expected"), ("", "nothing")]
)
def test_a_file_that_holds_no_stages_is_refused(capsys, tmp_path, text, said):
    path = tmp_path / "stages.toml"
    path.write_text(text, encoding="utf-8")
    assert main([*ASK, "--stages", str(path)]) == 2
    assert said in capsys.readouterr().err


def test_stages_are_for_training(capsys):
    assert main(["gpt2", "--stage", "steps=1"]) == 2
    assert "--stage does not go without --train" in capsys.readouterr().err
