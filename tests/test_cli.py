"""The command line says what the library says."""

import json
import subprocess
import sys
from importlib import import_module

import pytest

from estimator import Training, estimate
from estimator.__main__ import main
from estimator.cli import COMMANDS
from estimator.report.estimate import Estimate
from estimator.units import format_change
from tests.lint.source import ROOT

ASK = ["gpt2", "--hw", "H100", "--batch", "2", "--prompt-tokens", "32", "--output-tokens", "4"]


def test_an_estimate_prints_its_table(capsys):
    assert main(ASK) == 0
    out = capsys.readouterr().out
    assert out.startswith("gpt2 on NVIDIA H100 SXM")
    assert "J per token" in out


def test_json_is_an_estimate(capsys):
    assert main([*ASK, "--json"]) == 0
    text = capsys.readouterr().out
    assert Estimate.from_json(text).tokens == 8
    assert json.loads(text)["run"]["batch"] == 2


def test_one_grouping_may_be_asked_for(capsys):
    assert main([*ASK, "--by", "event"]) == 0
    assert "full_adder" in capsys.readouterr().out


def test_training_is_a_flag(capsys):
    assert main(["gpt2", "--hw", "A100", "--train", "--steps", "2", "--batch", "2", "--sequence-tokens", "64"]) == 0
    out = capsys.readouterr().out
    assert "backward" in out
    assert "per step" in out


def test_an_option_of_the_other_kind_of_run_is_refused(capsys):
    assert main(["gpt2", "--train", "--output-tokens", "4"]) == 2
    assert "--output-tokens does not go with --train" in capsys.readouterr().err


def test_a_wrong_name_is_one_line_without_a_traceback(capsys):
    assert main(["gpt22", "--hw", "H100"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: unknown model 'gpt22'. Nearest: ")
    assert "Traceback" not in err


@pytest.mark.parametrize(("command", "expected"), [("profiles", "h100-sxm"), ("models", "llama-3.1-8b")])
def test_the_catalogues_are_listed(capsys, command, expected):
    assert main([command]) == 0
    assert expected in capsys.readouterr().out


def test_long_sources_of_models_are_wrapped_to_a_page(capsys):
    assert main(["models"]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 140


@pytest.mark.parametrize(("fraction", "text"), [(0.254, "+25%"), (-0.5, "-50%"), (0.004, "0%"), (-0.004, "0%"), (0.0, "0%")])
def test_a_change_that_rounds_to_nothing_has_no_sign(fraction, text):
    assert format_change(fraction) == text


def test_without_arguments_the_help_names_every_command(capsys):
    with pytest.raises(SystemExit) as done:
        main([])
    assert done.value.code == 0
    shown = capsys.readouterr().out
    for name in COMMANDS:
        assert f"  {name} " in shown
        assert callable(import_module(f"estimator.cli.{name.replace('-', '_')}").run)


@pytest.mark.parametrize("command", ["", *COMMANDS, *("profiles " + name for name in ("list", "show", "check", "new")), "check flops"])
def test_every_command_explains_itself(capsys, command):
    with pytest.raises(SystemExit) as done:
        main([*command.split(), "--help"])
    assert done.value.code == 0
    assert f"usage: python -m estimator {command}".rstrip() in capsys.readouterr().out


@pytest.mark.parametrize("option", ["--devices", "--cluster", "--practice"])
def test_settings_of_training_are_not_dropped_from_inference(capsys, option):
    given = {"--devices": "8", "--cluster": "dgx-h100", "--practice": "megatron"}[option]
    assert main([*ASK, option, given]) == 2
    assert f"{option[2:]}={given}: " in capsys.readouterr().err.replace("'", "")


def test_a_reader_that_has_seen_enough_is_no_error():
    piped = f"{sys.executable} -m estimator profiles show H100 | head -1"
    done = subprocess.run(piped, shell=True, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("NVIDIA H100")
    assert done.stderr == ""


def test_pictures_are_asked_for_by_a_word(capsys):
    assert main(["tiny-sd", "--diffuse", "--batch", "2", "--steps", "3", "--height", "256"]) == 0
    assert "Diffusion(batch=2, height=256, width=512, steps=3" in capsys.readouterr().out
    assert main(["tiny-sd", "--diffuse", "--output-tokens", "3"]) == 2
    assert "--output-tokens does not go with --diffuse" in capsys.readouterr().err
    assert main(["tiny-sd", "--diffuse", "--serve"]) == 2
    assert "--serve does not go with --diffuse" in capsys.readouterr().err


def test_audio_epochs_and_the_rank_of_adapters_are_options(capsys):
    assert main(["whisper-small", "--audio-seconds", "45", "--output-tokens", "2"]) == 0
    assert "audio_seconds=45.0" in capsys.readouterr().out
    assert main(["resnet-50", "--train", "--epochs", "2", "--samples", "100", "--batch", "10", "--json"]) == 0
    assert Estimate.from_json(capsys.readouterr().out).steps == 20
    assert main(["gpt2", "--train", "--trainable", "lora", "--rank", "4", "--sequence-tokens", "64"]) == 0
    assert "rank=4" in capsys.readouterr().out


def test_schedules_and_shared_tokens_of_a_training_layout_are_options(capsys):
    layout = ["--tensor", "2", "--pipeline", "4", "--global-batch", "32", "--schedule", "zero-bubble", "--no-sequence-parallel"]
    assert main(["llama-3.1-8b", "--hw", "H100", "--train", *layout]) == 0
    text = capsys.readouterr().out
    assert "schedule=zero-bubble" in text and "sequence_parallel=False" in text


def test_an_electricity_bill_below_a_cent_is_not_nothing(capsys):
    assert main([*ASK, "--facility", "wall"]) == 0
    bill = capsys.readouterr().out.split("of water")[1].split("$")[1].split()[0]
    assert 0 < float(bill) < 0.01


def test_words_beyond_the_positions_of_a_speech_model_are_refused(capsys):
    assert main(["whisper-small", "--output-tokens", "1000"]) == 2
    assert "output_tokens=1000: 1000 tokens exceed the 448 positions" in capsys.readouterr().err
    assert main(["whisper-small"]) == 0


def test_a_stretched_model_takes_longer_prompts(capsys):
    assert main(["llama-2-7b", "--prompt-tokens", "5000"]) == 2
    assert "take at most 4096, or say max_positions=5256" in capsys.readouterr().err
    assert main(["llama-2-7b", "--prompt-tokens", "5000", "--max-positions", "8192"]) == 0


def test_mfu_of_fp32_training_is_of_the_unit_that_multiplies():
    # convolutions of fp32 run as tf32 on the tensor units, which do far more than the vector units' fp32
    answer = estimate("resnet-50", "H100", Training(batch=64, global_batch=512), devices=8)
    assert 0.05 < answer.mfu < 0.6
