"""The energy as algebra: at its point it is the estimate, away from it the physics holds, and the estimator itself agrees."""

import pytest

from estimator import Estimate, Inference, Parallel, Serving, Training, estimate, load_profile
from estimator.errors import EstimatorError, UnknownName

RUNS = {
    "inference": ("llama-3.1-8b", "h100-sxm", Inference(batch=4, prompt_tokens=64, output_tokens=8), {}),
    "vision": ("resnet-50", "a100-sxm-80gb", Inference(batch=8), {}),
    "serving": ("llama-3.1-8b", "a100-sxm-80gb", Serving(), {}),
    "training on eight": ("llama-3.1-8b", "h100-sxm", Training(steps=2, global_batch=8), {"parallel": Parallel(tensor=2, data=4)}),
    "paused below its lowest clock": ("llama-3.1-8b", load_profile("h100-sxm").at(power_limit=130), Inference(output_tokens=2), {}),
}


@pytest.mark.parametrize("name", RUNS)
def test_at_the_operating_point_it_is_the_energy_to_rounding(name):
    model, hw, run, settings = RUNS[name]
    answer = estimate(model, hw, run, **settings)
    assert answer.formula().energy == pytest.approx(answer.energy, rel=1e-9, abs=0)


@pytest.fixture(scope="module")
def answer():
    return estimate("llama-3.1-8b", "h100-sxm", Inference(batch=1, prompt_tokens=64, output_tokens=2))


def test_its_only_symbols_are_voltage_clock_and_temperature_of_each_phase(answer):
    formula = answer.formula()
    names = {"prefill", "decode", "host"}
    assert {symbol.name for symbol in formula.expression.free_symbols} == {f"{letter}_{name}" for letter in "VfT" for name in names}
    assert formula.expression.free_symbols == set(formula.point)


def test_at_no_voltage_nothing_switches_and_nothing_leaks(answer):
    # what stays is memory (bits and idle) over the regulators, and the board
    formula = answer.formula()
    left = formula.at(V_prefill=0, V_decode=0, V_host=0)
    efficiency = load_profile("h100-sxm").power.regulator_efficiency
    fixed = sum(
        joules if event == "board" else joules / efficiency
        for phase in answer.phases
        for entry in phase.entries
        for (_, event), joules in entry.energy.items()
        if event in ("board", "dram_bit", "refresh")
    )
    assert left == pytest.approx(fixed, rel=1e-9, abs=0)


def test_the_share_in_v_squared_is_the_switching_of_the_core(answer):
    # E(2 V) - E(0) with leakage subtracted: the coefficient of V² times V² is the joules of all core events over the efficiency
    formula = answer.formula()
    voltage = next(symbol for symbol in formula.point if symbol.name == "V_decode")
    term = formula.terms["decode"].xreplace(dict(formula.times)).xreplace(dict(formula.point))
    free = formula.terms["decode"].xreplace(dict(formula.times))
    free = free.xreplace({symbol: value for symbol, value in formula.point.items() if symbol != voltage})
    assert free.free_symbols == {voltage} and term.is_number
    squares = float(free.expand().coeff(voltage, 2)) * formula.point[voltage] ** 2
    profile = load_profile("h100-sxm")
    core = sum(
        joules
        for phase in answer.phases
        if phase.name == "decode"
        for entry in phase.entries
        for (_, event), joules in entry.energy.items()
        if event not in ("board", "dram_bit", "refresh", "leakage", "conversion")
    )
    assert squares == pytest.approx(core / profile.power.regulator_efficiency, rel=1e-9, abs=0)


def test_at_another_clock_it_is_what_the_estimator_finds_there(answer):
    # the formula leaves the chip's ties to the reader: take clock, voltage and temperature of a slower estimate, its energy follows
    slower = estimate("llama-3.1-8b", load_profile("h100-sxm").at(clock=1.2e9), Inference(batch=1, prompt_tokens=64, output_tokens=2))
    point = {symbol.name: value for symbol, value in slower.formula().point.items()}
    assert {value for name, value in point.items() if name.startswith("f_")} == {1.2e9}
    assert answer.formula().at(**point) == pytest.approx(slower.energy, rel=1e-9, abs=0)
    assert slower.energy != pytest.approx(answer.energy, rel=0.01, abs=0)


def test_it_reads_as_a_sum_of_phases(answer):
    text = str(answer.formula())
    assert text.splitlines()[0] == "E = E_prefill + E_decode + E_host"
    assert "V_decode**2" in text and "exp(" in text and "t_decode = " in text
    assert answer.formula()._repr_latex_().startswith("$")


def test_a_strange_symbol_and_an_estimate_from_json_are_refused(answer):
    with pytest.raises(UnknownName, match="unknown symbol 'V_decod'. Nearest: V_decode"):
        answer.formula().at(V_decod=0.8)
    with pytest.raises(EstimatorError, match="read from JSON; estimate again for its formula"):
        Estimate.from_json(answer.to_json()).formula()
