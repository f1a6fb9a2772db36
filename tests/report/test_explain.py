"""The explanation: every figure is the estimate's own, each sum closes, and the text says why."""

import re
from math import fsum

import pytest
from hypothesis import given

from estimator import Estimate, Inference, Parallel, Serving, Training, estimate, load_profile
from estimator.report.explain import explain
from estimator.report.explain_chain import chain_of
from estimator.run.entry import HOST
from tests.report.made import entry, estimate_of, estimates

RUNS = {
    "inference": ("llama-3.1-8b", "h100-sxm", Inference(output_tokens=64), {}),
    "small": ("resnet-50", "a100-sxm-80gb", Inference(batch=1), {}),
    "serving": ("llama-3.1-8b", "a100-sxm-80gb", Serving(), {}),
    "training on eight": ("llama-3.1-8b", "h100-sxm", Training(steps=2, global_batch=8), {"parallel": Parallel(tensor=2, data=4)}),
    "capped": ("llama-3.1-8b", load_profile("h100-sxm").at(power_limit=300), Inference(output_tokens=2), {}),
    "dull operands": ("llama-3.1-8b", load_profile("h100-sxm").at(activity="ones"), Inference(output_tokens=2), {}),
}


@pytest.fixture(scope="module", params=RUNS)
def answer(request):
    model, hw, run, settings = RUNS[request.param]
    return estimate(model, hw, run, **settings)


def test_the_parts_of_a_launch_add_up_to_the_joules_of_its_record(answer):
    chain = chain_of(answer)
    assert chain.joules * chain.entry.launches == pytest.approx(fsum(chain.entry.energy.values()), rel=1e-12, abs=0)


def test_every_event_is_a_count_times_c_v_squared_of_a_sourced_number(answer):
    chain = chain_of(answer)
    for event in chain.events:
        assert event.number is not None and event.number.source
        alone = event.number.value if event.capacitance is None else event.capacitance * chain.phase.point.voltage**2
        assert event.joules == pytest.approx(event.count * alone * event.lively, rel=1e-9, abs=0)
        assert 0 < event.lively <= 1 + 1e-9


def test_it_follows_the_kernel_that_takes_most(answer):
    chain = chain_of(answer)
    waiting = {entry.name for phase in answer.phases for entry in phase.entries if entry.kind == HOST}
    most = next(row for row in answer.rows("kernel") if row["name"].rpartition(": ")[2] not in waiting)
    assert chain.name == most["name"]
    assert fsum(joules for one in chain.same for joules in one.energy.values()) == pytest.approx(most["energy"], rel=1e-12, abs=0)
    assert f"{most['share']:.1%} of all" in re.sub(r"\s+", " ", explain(answer))


def test_the_time_shown_is_the_time_of_the_record(answer):
    chain = chain_of(answer)
    assert chain.duration is not None
    point = chain.phase.point
    assert chain.seconds == pytest.approx(chain.duration.seconds(point.clock) * point.stretch, rel=1e-9, abs=0)


def test_every_footnote_in_the_text_is_explained_in_its_order(answer):
    text, _, notes = explain(answer).partition("Where the numbers come from")
    marks = [int(mark) for mark in re.findall(r"\[(\d+)\]", text)]
    assert list(dict.fromkeys(marks)) == list(range(1, len(set(marks)) + 1))
    assert [int(mark) for mark in re.findall(r"^\[(\d+)\]", notes, re.MULTILINE)] == sorted(set(marks))


def test_the_reason_for_the_clock_is_told():
    told = {name: re.sub(r"\s+", " ", estimate(*RUNS[name][:3]).explain()) for name in ("inference", "capped")}
    assert "That is the highest clock allowed [1]" in told["inference"]
    assert "lowered until the mean power of the phase, 300 W, keeps both" in told["capped"]


def test_lively_operands_are_named_where_they_are_dull():
    assert "what operands toggle" in estimate(*RUNS["dull operands"][:3]).explain()
    assert "what operands toggle" not in estimate(*RUNS["inference"][:3]).explain()


def test_an_estimate_from_json_tells_the_same_but_for_the_cycles():
    answer = estimate(*RUNS["inference"][:3])
    again = Estimate.from_json(answer.to_json()).explain().splitlines()
    missing = [line for line in answer.explain().splitlines() if line not in again]
    assert all("memory.bandwidth" not in line for line in again)
    assert len(again) > 0.8 * len(answer.explain().splitlines()) and any("clock cycles" in line for line in missing)


@given(estimates)
def test_any_estimate_can_be_explained(answer):
    text = explain(answer)
    assert text.startswith("a model on a chip") and "6. The sum" in text


def test_a_launch_worked_out_by_hand():
    # two kernels: 3 J and 1 J; half of each is full adders, 1e12 of them, so 1.5 pJ each, and half leaks over one second: 1.5 W
    text = re.sub(r"\s+", " ", explain(estimate_of(("decode", [entry(3.0, "mlp"), entry(1.0, "lm_head")]))))
    assert "`aten.mm` in mlp takes more energy than any other kernel of this run: 1 launch in the phase decode." in text
    assert "One launch computes 1 FLOP and moves 8 B from or to off-chip memory: 0.125 FLOP for each byte of off-chip memory" in text
    assert "tensor units full_adder 1e+12 1.5 pJ 1.5 J" in text
    assert "leakage 1.5 W 1.5 J through transistors that are switched off" in text
    assert "3 J × 1 launch = 3 J: 75.0% of all 4 J." in text
