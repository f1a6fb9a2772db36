"""Inputs of published runs that no publication states: what they do to a run, and that intervals contain it."""

from dataclasses import replace
from functools import cache
from math import exp, log

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from estimator.quantity import Quantity
from estimator.run.uncertainty_propagation import propagate
from estimator.run.uncertainty_responses import Response
from estimator.validation import training_runs
from estimator.validation.evaluate import Evaluation, result
from estimator.validation.intervals import NOTHING, spread
from estimator.validation.report import scores, scores_apart
from estimator.validation.rows import Row
from estimator.validation.text import as_text
from estimator.validation.training_inputs import ASSUMED, PUBLISHED, facts, group_of, known_of, said_of, stated_by_row
from estimator.validation.unknown_inputs import unknown_responses

OLMO = {
    "kind": "training_run",
    "model_id": "OLMo core-60M", "params_b": 0.06, "tokens": 1.7e12, "hardware": "NVIDIA H100 SXM", "unit": "run",
    "energy_j_per_unit": 4.32e9, "energy_scope": "GPU power measured on one node, x PUE", "pue": 1.2,
}  # fmt: skip


def row(**columns):
    return Row("training_runs", 2, {name: str(value) for name, value in columns.items()})


@cache
def predicted():
    return training_runs.predict(row(**OLMO))


@pytest.fixture
def olmo():
    return predicted()


def test_every_input_is_either_published_or_has_a_range():
    for table in facts()["run"]:
        how = known_of(table["match"])
        for name in ("practice", "sequence", "tokens", "devices", "layout"):
            assert (name in table) != (name in how["assumed"]) or name in table["assumed"], (table["match"], name)


@pytest.mark.parametrize(("name", "group"), [("BLOOM-176B", PUBLISHED), ("OLMo core-60M", ASSUMED), ("nobody knows this", ASSUMED)])
def test_runs_are_grouped_by_whether_their_inputs_were_published(name, group):
    assert group_of(known_of(name)) == group


def test_what_a_row_states_is_not_assumed():
    how = known_of("OLMo core-60M")
    assert any("devices 32 (16 to 1024)" in one for one in said_of(how))
    assert group_of(stated_by_row(how, "devices", 64)) == PUBLISHED


def test_stalls_take_time_and_only_the_power_of_waiting(olmo):
    found = unknown_responses(known_of("BLOOM"), olmo, lambda how: olmo)
    (energy, time) = found["assumed.stalls"].high
    assert time == pytest.approx(log(1.25), rel=1e-9, abs=0)
    assert 0 < energy < time


def test_work_that_is_not_counted_costs_as_much_as_that_which_is(olmo):
    how = {"assumed": {"work": {"low": 1, "high": 4, "source": "by hand"}}}
    assert unknown_responses(how, olmo, lambda how: olmo)["assumed.work"].high == pytest.approx((log(4), log(4)), rel=1e-9, abs=0)


def test_a_practice_counts_by_the_ones_that_take_least_and_most(olmo):
    how = {"practice": "middle", "assumed": {"practice": {"others": ["cheap", "dear"], "source": "by hand"}}}
    others = {"cheap": replace(olmo, phases=olmo.phases[:1]), "dear": replace(olmo, phases=olmo.phases * 2)}
    found = unknown_responses(how, olmo, lambda other: others[other["practice"]])["assumed.practice"]
    assert found.high == pytest.approx((log(2), log(2)), rel=1e-9, abs=0)
    assert all(change < 0 for change in found.low)
    assert float(found.quantity) == 2 and found.ends == (1, 3)


@settings(deadline=None, max_examples=6)
@given(st.floats(1.3, 5))
def test_an_interval_holds_what_an_unknown_input_may_do(factor):
    place = Quantity(1.0, "1", 1 / factor, factor)
    alone = {"assumed.work": Response(place, (1 / factor, factor), (-log(factor),) * 2, (log(factor),) * 2)}
    without, with_ = (propagate(predicted().phases, NOTHING, 512, False, None, unknown) for unknown in (None, alone))
    low, high = with_.interval(0.9)
    assert low < without.interval(0.9)[0] and high > without.interval(0.9)[1]
    assert low <= 1.02 / factor and high >= 0.98 * factor


def test_no_unknown_input_changes_nothing(olmo):
    assert propagate(olmo.phases, NOTHING, 512, False, None, {}) == propagate(olmo.phases, NOTHING, 512, False)


def test_the_number_of_devices_that_was_not_published_widens_the_interval(olmo):
    assert olmo.unknown.group == ASSUMED
    wide, narrow = (spread(row(**OLMO), one).interval(0.9) for one in (olmo, replace(olmo, unknown=replace(olmo.unknown, responses=dict))))
    assert wide[0] <= 1.01 * narrow[0] and wide[1] > narrow[1]
    changes = olmo.unknown.responses()["assumed.devices"]
    assert exp(max(changes.high[0], changes.low[0])) <= wide[1]


def test_the_report_tells_the_groups_apart_and_says_what_was_assumed(olmo):
    one = result(row(**OLMO, source="Morrison et al. 2025"), olmo)
    hours = result(row(**OLMO, split="timecheck_only", accel_hours=1e4), olmo)
    done = Evaluation([one, hours])
    assert any(score.group == f"{ASSUMED} · Morrison et al. 2025" for score in scores(done))
    assert any(score.group == f"time check only · {ASSUMED}" for score in scores_apart(done))
    assert "devices 32 (16 to 1024)" in as_text(done) and 0 < one.mfu < 1
