"""`what-if` prints every mitigation with joules, seconds and a reason."""

import pytest

from estimator.__main__ import main
from estimator.api import estimate
from estimator.hardware.catalogue import load_profile
from estimator.run.settings import Inference, Training
from estimator.units import format_si

ASK = ["what-if", "gpt2", "--hw", "H100", "--batch", "2", "--prompt-tokens", "32", "--output-tokens", "4"]


@pytest.fixture
def printed(capsys):
    assert main(ASK) == 0
    return capsys.readouterr().out


def test_every_mitigation_has_a_row(printed):
    operating = ["voltage and clock of least energy", "clock gating", "power gating", "made in TSMC N3E"]
    lighter = ["weights in fp8", "weights in int4", "pruning, single weights", "pruning, 25% of the layers", "pruning, 25% of the heads"]
    for row in ["as it is", *operating, *lighter]:
        assert row in printed


def test_two_optima_at_one_point_share_a_row(printed):
    first = [line.split("  ")[0] for line in printed.splitlines() if line.startswith("voltage and clock of")]
    energies = [line.split("  ")[1:] for line in printed.splitlines() if line.startswith("voltage and clock of")]
    assert first in (
        ["voltage and clock of least energy, alone and × delay"],
        ["voltage and clock of least energy", "voltage and clock of least energy × delay"],
    )
    assert len({tuple(cells) for cells in energies}) == len(energies)


def test_pruning_single_weights_saves_nothing_and_says_why(printed):
    line = next(line for line in printed.splitlines() if line.startswith("pruning, single weights"))
    assert " 0%" in line
    assert "nothing: dense hardware reads and multiplies zeros" in line


def test_a_part_that_multiplies_nothing_narrower_says_that_it_widens_weights_again(capsys):
    assert main([*ASK[:3], "V100", *ASK[4:]]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("weights in fp8"))
    assert "less weight traffic; each weight is widened again" in line


def test_a_network_without_layers_to_prune_has_no_such_row(capsys):
    assert main(["what-if", "resnet-50", "--hw", "A100"]) == 0
    out = capsys.readouterr().out
    assert "pruning, single weights" in out
    assert "of the heads" not in out


def test_another_node_may_be_asked_for_and_an_unknown_one_is_refused(capsys):
    assert main([*ASK, "--node", "7nm"]) == 0
    assert "made in TSMC N7" in capsys.readouterr().out
    assert main([*ASK, "--node", "2nm"]) == 2
    assert "unknown technology node '2nm'" in capsys.readouterr().err


def test_a_report_says_what_was_changed_and_under_which_conditions_it_holds():
    what_if = load_profile("H100").at(clock="1.2 GHz", temperature="60 degC", activity="zeros")
    answer = estimate("gpt2", what_if, Inference(prompt_tokens=32, output_tokens=4))
    assert answer.hardware == "NVIDIA H100 SXM5 80GB, 1.2 GHz, junction 60 °C, zeros"
    assert "what-if: junction held at 60 °C" in answer.assumptions
    assert "operands toggle 0 times as often as random data; the junction is held at 60 °C" in answer.assumptions
    assert {"hardware.clock.boost", "hardware.activity"} <= {number["name"] for number in answer.sources()}


def test_devices_and_places_are_those_of_the_estimate(capsys):
    asked = ["--train", "--devices", "4", "--global-batch", "8", "--sequence-tokens", "64"]
    assert main(["what-if", "gpt2", "--hw", "A100", *asked]) == 0
    alone = estimate("gpt2", "A100", Training(global_batch=8, sequence_tokens=64), devices=4)
    best = alone.best_operating_point()
    assert best.energy <= alone.energy and best.clock <= float(load_profile("A100").clock.boost)
    assert f": {format_si(alone.energy, 'J')} in " in capsys.readouterr().out.splitlines()[0]
    assert main(["what-if", "gpt2", "--weights", "int4"]) == 2
    assert "what-if compares the formats of weights itself" in capsys.readouterr().err
