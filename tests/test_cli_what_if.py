"""`what-if` prints every mitigation with joules, seconds and a reason."""

import pytest

from estimator.__main__ import main

ASK = ["what-if", "gpt2", "--hw", "H100", "--batch", "2", "--prompt-tokens", "32", "--output-tokens", "4"]


@pytest.fixture
def printed(capsys):
    assert main(ASK) == 0
    return capsys.readouterr().out


def test_every_mitigation_has_a_row(printed):
    operating = ["voltage and clock of least energy", "clock gating", "power gating", "made in TSMC N3E"]
    lighter = ["8-bit weight products", "pruning, single weights", "pruning, with 9 of 12 layers"]
    for row in ["as it is", *operating, *lighter]:
        assert row in printed


def test_pruning_single_weights_saves_nothing_and_says_why(printed):
    line = next(line for line in printed.splitlines() if line.startswith("pruning, single weights"))
    assert "+0%" in line
    assert "nothing: dense hardware reads and multiplies zeros" in line


def test_a_part_without_eight_bit_units_says_what_it_multiplies_in(capsys):
    assert main([*ASK[:3], "V100", *ASK[4:]]) == 0
    assert "multiplied in fp16 on the" in capsys.readouterr().out


def test_another_node_may_be_asked_for_and_an_unknown_one_is_refused(capsys):
    assert main([*ASK, "--node", "7nm"]) == 0
    assert "made in TSMC N7" in capsys.readouterr().out
    assert main([*ASK, "--node", "2nm"]) == 2
    assert "unknown technology node '2nm'" in capsys.readouterr().err
