"""What a device computes of a micro-batch: what sequence parallelism divides, and passes of a loss that is not fused."""

from dataclasses import fields

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from estimator import Parallel, Training, load_architecture, load_profile
from estimator.hardware.demand import Demand
from estimator.hardware.events import count_events
from estimator.hardware.roofline import core_cycles
from estimator.quantity import Quantity
from estimator.run.known import Known
from estimator.run.microbatch import Piece, demands_of, divided
from estimator.run.repeat import seconds
from estimator.run.training_parallel import step_phases
from estimator.run.training_plan import site_of
from estimator.run.transformer import shape_of

A100, B200 = load_profile("A100"), load_profile("B200")
ENDS = ("macs", "mac_slots", "padding", "ops", "waits", "bytes")
# all that grows with the work but what goes over links, whose exchanges are worked out for each rank
WORK = [one.name for one in fields(Demand) if one.name.endswith(ENDS) and "link" not in one.name]
LLAMA = shape_of(load_architecture("llama-2-7b"))


def site(practice="megatron", **degrees):
    return site_of(A100, None, Parallel(**degrees), "dgx-a100", practice)


def memory_bytes(run, piece, practice, kind=None):
    """Bytes through memory by phase, of all kernels or those of a name."""
    phases = demands_of(LLAMA, run, piece, A100, site().stack, practice, Known())
    return {name: sum(one.launches * one.demand.memory_bytes for one in items() if kind in (None, one.name)) for name, items in phases}


@settings(deadline=None, max_examples=8)
@given(st.sampled_from([2, 4, 8]), st.sampled_from([1, 2]))
def test_sharing_tokens_saves_memory_traffic_of_norms_and_sums_alone(tensor, batch):
    practice, run = site().practice, Training(batch=batch, sequence_tokens=1024)
    whole, shared = (memory_bytes(run, Piece(batch, 1024, tensor, 1, parts), practice) for parts in (1, tensor))
    # forward of a layer along the residual stream: two norms read it and write their result, two sums read it and a result and write it; in
    # bf16 some 20 to 30 bytes for each token and channel, of which each rank moves all or its part
    extra = (whole["forward"] - shared["forward"]) / ((1 - 1 / tensor) * batch * 1024 * 4096 * 32)
    assert 12 < extra < 32


def test_sequence_parallelism_is_never_slower_by_more_than_what_it_gathers_again():
    run = Training(batch=1, global_batch=8, sequence_tokens=2048)
    times = {}
    for split in (False, True):
        phases = step_phases(LLAMA, Training(**vars(run) | {"sequence_parallel": split}), site(tensor=8))
        times[split] = sum(map(seconds, phases))
    assert times[True] < times[False]


@pytest.mark.parametrize("tensor", [1, 4])
def test_a_loss_that_is_not_fused_passes_over_its_logits(tensor):
    # 1024 tokens of 32000 logits in 4 bytes, ten passes: three quarters of them forward; each rank has its part of the vocabulary
    practice = site().practice.model_copy(update={"loss_passes": Quantity(10.0, ""), "kernel_share": Quantity(1.0, "")})
    moved = memory_bytes(Training(sequence_tokens=1024), Piece(1, 1024, tensor, 1, tensor), practice, "loss")
    assert moved["forward"] == pytest.approx(0.75 * 10 * 1024 * 32000 * 4 / tensor, rel=1e-9, abs=0)
    assert moved["backward"] == pytest.approx(moved["forward"] / 3, rel=1e-9, abs=0)


def test_a_fused_loss_makes_no_passes():
    practice = site("mlperf").practice
    assert memory_bytes(Training(sequence_tokens=1024), Piece(1, 1024), practice, "loss") == {"forward": 0, "backward": 0}


def test_recomputing_what_needs_no_product_repeats_no_product():
    practice = site().practice
    again = dict(demands_of(LLAMA, Training(recompute="elementwise"), Piece(1, 2048), A100, site().stack, practice, Known()))["recompute"]()
    assert again and not any(one.demand.macs for one in again)
    old = site("megatron-2021")
    slow = dict(demands_of(LLAMA, Training(recompute="elementwise"), Piece(1, 2048), A100, old.stack, old.practice, Known()))
    assert {one.kind for one in slow["recompute"]() if one.demand.macs} == {"attention"}  # whose scores are not kept


@given(st.integers(2, 64))
def test_padding_of_experts_tiles_is_cut_over_ranks_like_the_products_it_pads(ranks):
    whole = Demand(macs=1e9, mac_slots=2e9, mac_padding=1e9)
    mine = divided(whole, ranks)
    assert mine.mac_padding / mine.macs == pytest.approx(whole.mac_padding / whole.macs, rel=1e-9, abs=0)


@given(st.lists(st.floats(1e3, 1e12), min_size=len(WORK), max_size=len(WORK)), st.integers(2, 64))
def test_a_share_of_the_work_takes_that_share_of_every_unit_and_event(amounts, parts):
    whole = Demand(mac_format="bf16", **dict(zip(WORK, amounts)))
    mine = divided(whole, parts)
    for asked in (lambda demand: core_cycles(demand, B200), lambda demand: count_events(demand, B200)):
        assert asked(mine) == pytest.approx({name: amount / parts for name, amount in asked(whole).items()}, rel=1e-9, abs=0)
