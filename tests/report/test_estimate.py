"""An estimate adds up whichever way it is cut, and survives JSON."""

import json
import math
from math import fsum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator import Inference, Training, estimate
from estimator.errors import EstimatorError, UnknownName
from estimator.report.estimate import Estimate
from estimator.report.rows import GROUPS

RUNS = [
    ("llama-3.1-8b", "h100-sxm", Inference(batch=4, prompt_tokens=128, output_tokens=64)),
    ("gpt2", "v100-sxm2-16gb", Training(steps=3, batch=2, sequence_tokens=256)),
    ("resnet-50", "a100-sxm-80gb", Inference(batch=16)),
]


@pytest.fixture(scope="module", params=RUNS, ids=[model for model, *_ in RUNS])
def answer(request):
    model, hw, run = request.param
    return estimate(model, hw, run)


@pytest.mark.parametrize("by", GROUPS)
def test_every_grouping_sums_to_the_energy(answer, by):
    rows = answer.rows(by)
    assert math.isclose(fsum(row["energy"] for row in rows), answer.energy, rel_tol=1e-12)
    assert math.isclose(fsum(row["share"] for row in rows), 1.0, rel_tol=1e-12)


@pytest.mark.parametrize("by", [by for by in GROUPS if by not in ("component", "event")])
def test_time_work_and_traffic_close_with_the_energy(answer, by):
    rows = answer.rows(by)
    assert math.isclose(fsum(row["time"] for row in rows), answer.time, rel_tol=1e-12)
    assert math.isclose(fsum(row["flop"] for row in rows), answer.flop, rel_tol=1e-12)
    assert math.isclose(fsum(row["memory_bytes"] for row in rows), answer.traffic["memory"], rel_tol=1e-12)


def test_the_total_of_the_switching_events_is_the_sum_of_the_kinds(answer):
    events = answer.switching_events
    assert math.isclose(events.pop("total"), fsum(events.values()), rel_tol=1e-12)
    assert all(count > 0 for count in events.values())


def test_power_is_energy_over_time_and_within_the_limits_of_the_board(answer):
    assert math.isclose(answer.power, answer.energy / answer.time, rel_tol=1e-12)
    assert all(phase.point.power <= 700 * (1 + 1e-6) for phase in answer.phases)


def test_an_estimate_survives_json_unchanged(answer):
    again = Estimate.from_json(answer.to_json())
    assert again == answer
    assert json.loads(again.to_json()) == json.loads(answer.to_json())


def test_every_joule_is_above_the_landauer_limit_of_its_switching_events(answer):
    from estimator.transistor.landauer import landauer_limit

    for row in answer.rows("event"):
        assert row["energy"] >= row["events"] * landauer_limit(300.0)


def test_every_number_names_its_source_and_status(answer):
    sources = answer.sources()
    assert len(sources) > 30
    assert all(number["source"] and number["status"] in ("datasheet", "measured", "derived", "assumed") for number in sources)
    assert all(number["low"] <= number["value"] <= number["high"] for number in sources)


def test_the_text_says_answer_hardware_and_assumptions(answer):
    text = str(answer)
    assert answer.model in text.splitlines()[0]
    assert answer.hardware in text.splitlines()[0]
    assert "board energy only" in text
    assert "every operation was counted" in text


def test_an_unknown_grouping_lists_the_known(answer):
    with pytest.raises(UnknownName, match=r"unknown grouping 'layers'. Nearest: .*layer"):
        answer.rows("layers")


def test_what_a_run_does_not_have_is_an_error_and_not_a_zero():
    answer = estimate("resnet-50", "a100-sxm-80gb")
    with pytest.raises(EstimatorError, match="this run has no tokens"):
        _ = answer.energy_per_token


@given(st.integers(1, 64))
def test_doubling_the_batch_never_takes_less_energy_in_all_nor_more_per_token(batch):
    few, many = (estimate("gpt2", "a100-sxm-80gb", Inference(batch=b, prompt_tokens=64, output_tokens=8)) for b in (batch, 2 * batch))
    assert few.energy <= many.energy * (1 + 1e-9)
    assert many.energy_per_token <= few.energy_per_token * (1 + 0.05)  # tiles fill in steps, so not strictly monotone


def test_repeating_requests_multiplies_energy_and_time():
    one, ten = (estimate("gpt2", "h100-sxm", Inference(prompt_tokens=32, output_tokens=4, requests=n)) for n in (1, 10))
    assert math.isclose(ten.energy, 10 * one.energy, rel_tol=1e-9)
    assert math.isclose(ten.time, 10 * one.time, rel_tol=1e-9)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"phases": 3}'])
def test_what_is_no_stored_estimate_is_said_to_be_none(text):
    with pytest.raises(EstimatorError, match=r"not a stored estimate: .* Write it with Estimate.to_json\(\)"):
        Estimate.from_json(text)
