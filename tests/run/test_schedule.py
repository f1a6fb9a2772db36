"""How micro-batches go through pipeline stages: bubbles as published, and what a schedule holds and hides."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator import Parallel, Training, estimate, load_architecture, load_profile
from estimator.errors import InvalidSetting, UnknownName
from estimator.run.repeat import seconds
from estimator.run.schedule import bubble
from estimator.run.training_memory import memory_of
from estimator.run.training_parallel import step_phases
from estimator.run.training_plan import site_of
from estimator.run.training_settings import SCHEDULES
from estimator.run.transformer import shape_of

MIXTRAL = shape_of(load_architecture("mixtral-8x7b"))
RUN = Training(global_batch=128, sequence_tokens=2048, recompute="full", precision="bf16")


def site(**degrees):
    return site_of(load_profile("H100"), None, Parallel(**degrees), "dgx-h100", "megatron")


@given(st.integers(1, 32).map(lambda n: 2 * n), st.integers(1, 512), st.floats(0.1, 10), st.floats(0, 1))
def test_each_schedule_waits_less_than_the_one_before(stages, count, forward, again):
    busy = {"forward": forward, "backward": 2 * forward, "recompute": again * forward}
    plain, zero, both = (bubble(Training(schedule=how), stages, count, busy) for how in SCHEDULES)
    assert 0 <= both <= zero <= plain
    assert plain == pytest.approx((stages - 1) / count * sum(busy.values()), rel=1e-9, abs=0)


def test_bubbles_are_those_of_the_table_that_compares_them():
    # DeepSeek-V3 Technical Report, table 2, with B = 2 F and W = F: 1F1B (p - 1) 3 F, ZB1P (p - 1) F, DualPipe (p / 2 - 1) 2 F
    busy = {"forward": 10.0, "backward": 20.0}  # of ten micro-batches: F = 1
    assert [bubble(Training(schedule=how), 16, 10, busy) for how in SCHEDULES] == pytest.approx([45, 15, 14], rel=1e-9, abs=0)


def test_dualpipe_hides_exchanges_of_experts_and_holds_weights_twice():
    where = site(pipeline=4, data=16, expert=8)
    plain, both = (replace(RUN, schedule=how) for how in ("1f1b", "dualpipe"))
    exchanged = [sum(seconds(p) for p in step_phases(MIXTRAL, run, where) if p.name == "communication") for run in (plain, both)]
    assert exchanged[1] < exchanged[0]
    held = [memory_of(MIXTRAL, run, where) for run in (plain, both)]
    assert held[1]["weights"] == 2 * held[0]["weights"] and held[1]["activations"] > held[0]["activations"]


def test_schedules_are_checked():
    with pytest.raises(UnknownName, match="schedule"):
        Training(schedule="gpipe")
    with pytest.raises(InvalidSetting, match="stretches of layers go with"):
        Training(schedule="dualpipe", interleave=2)
    with pytest.raises(InvalidSetting, match="pairs of stages; use pipeline=4"):
        estimate("llama-2-7b", "H100", Training(global_batch=8, schedule="dualpipe"), parallel=Parallel(pipeline=3))
