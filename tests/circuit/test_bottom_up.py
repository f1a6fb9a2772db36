"""Energies at every node from its capacitances, beside published ones, and the table that prints them."""

import pytest

from estimator.__main__ import main
from estimator.circuit.bottom_up import Figure, figures
from estimator.quantity import Quantity
from estimator.transistor.nodes import list_nodes, load_node
from estimator.validation import physics

ALL = figures()


def test_every_node_has_arithmetic_memory_and_wire():
    for stem in list_nodes():
        what = {figure.what for figure in ALL if figure.node == load_node(stem).name}
        assert {"int8 multiply", "fp32 multiply", "bit from 1MiB of SRAM", "bit over 1 mm of wire"} <= what, stem
    assert all(figure.predicted > 0 and figure.voltage > 0 for figure in ALL)


def test_every_published_figure_is_beside_its_prediction():
    # 18 operations, six SRAM bits, two wires, three datapaths in silicon
    assert sum(figure.error is not None for figure in ALL) == 18 + 6 + 2 + 3


def test_one_millimetre_of_wire_at_7_nm_by_hand():
    # ¼ × 350 fF/mm × 1 mm × (0.485 V)² = 20.6 fJ, against 36 fJ on a free link of ET-SoC-1
    (wire,) = (figure for figure in ALL if figure.node == "TSMC N7" and "wire" in figure.what)
    assert wire.predicted == pytest.approx(20.58e-15, rel=1e-3, abs=0)
    assert wire.error == pytest.approx(20.58 / 36 - 1, rel=1e-3, abs=0)


def test_a_datapath_in_silicon_costs_more_than_its_arithmetic_and_less_than_five_times_that():
    silicon = [figure for figure in ALL if "silicon" in figure.what]
    assert all(-0.8 < figure.error < 0 for figure in silicon)  # buffers and control are not in the prediction


def test_the_command_prints_the_table_and_passes(capsys):
    assert main(["check", "physics"]) == 0
    out = capsys.readouterr().out
    assert "TSMC N3E" in out and "fp16 multiply" in out and "rms error" in out
    line = next(line for line in out.splitlines() if line.startswith("TSMC N7") and "bf16 multiply" in line)
    assert line.split()[-5:] == ["235", "fJ", "210", "fJ", "+12%"]


def test_the_command_fails_where_a_published_figure_is_missed(monkeypatch):
    missed = [*ALL, Figure("made up", "bit over 1 mm of wire", 1.0, 1e-15, Quantity(3e-15, "J"))]
    monkeypatch.setattr(physics, "figures", lambda: missed)
    assert physics.report()[1] is False
