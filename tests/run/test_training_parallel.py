"""Training on many devices: what scales, what never falls, what is refused."""

from dataclasses import replace
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from estimator import Parallel, Training, estimate, load_architecture, load_profile
from estimator.errors import Infeasible, InvalidSetting, UnknownName
from estimator.hardware.cluster import list_clusters, load_cluster
from estimator.model.rules import work_of
from estimator.run.microbatch import kernels_of
from estimator.run.practice import list_practices, load_practice
from estimator.run.repeat import behind, joules, least_exposed, seconds
from estimator.run.site import Site
from estimator.run.stack import load_stack
from estimator.run.training_parallel import run_phases
from estimator.run.training_plan import site_of
from estimator.run.transformer import shape_of
from tests.report.made import entry, estimate_of

A100 = load_profile("A100")
GPT2, LLAMA = (shape_of(load_architecture(name)) for name in ("gpt2", "llama-2-7b"))
IDEAL = load_practice("ideal")


def site(practice="ideal", **degrees):
    return site_of(A100, "compiled", Parallel(**degrees), "dgx-a100", practice)


def wired_without_limit(where: Site) -> Site:
    """The same site with links that take no time and no energy."""
    none = {"bandwidth": inf, "latency": 0.0, "energy_per_bit": 0.0}
    links = {}
    for name, link in where.profile.links.items():
        changes = {key: type(getattr(link, key))(value, getattr(link, key).unit) for key, value in none.items()}
        links[name] = link.model_copy(update=changes)
    return replace(where, profile=where.profile.model_copy(update={"links": links}))


def cost(shape, run, where):
    phases = run_phases(shape, run, where)
    return sum(map(joules, phases)), sum(map(seconds, phases))


@settings(deadline=None, max_examples=10)
@given(st.sampled_from([2, 8, 64, 1024, 65536]))
def test_replicas_at_infinite_bandwidth_cost_as_many_times_one(replicas):
    one = cost(GPT2, Training(batch=8, sequence_tokens=512), site())
    run = Training(batch=8, sequence_tokens=512, global_batch=8 * replicas)
    phases = [p for p in run_phases(GPT2, run, wired_without_limit(site(data=replicas))) if p.name != "communication"]
    assert sum(map(joules, phases)) == pytest.approx(replicas * one[0], rel=1e-9, abs=0)
    assert sum(map(seconds, phases)) == pytest.approx(one[1], rel=1e-9, abs=0)


@settings(deadline=None, max_examples=12)
@given(st.sampled_from([1, 2, 4, 8, 16, 32, 64]), st.sampled_from(["megatron", "fsdp", "ideal"]))
def test_more_devices_at_the_same_batch_never_save_energy(data, practice):
    run = Training(batch=1, sequence_tokens=1024, global_batch=256)
    few, many = (cost(GPT2, run, site(practice, data=n)) for n in (data, 2 * data))
    assert many[0] >= few[0] * (1 - 1e-9)
    assert many[1] < few[1]


def test_the_estimate_costs_the_same_for_one_device_and_a_hundred_thousand(monkeypatch):
    import estimator.run.microbatch as module

    priced = []
    original = module.price_asked
    monkeypatch.setattr(module, "price_asked", lambda *a, **k: priced.append(1) or original(*a, **k))
    for data in (2, 100_000):
        priced.clear()
        cost(GPT2, Training(batch=1, sequence_tokens=128, global_batch=data), site(data=data))
        assert len(priced) == 2  # forward and backward, once each


def test_recomputation_repeats_the_forward_pass_of_the_layers():
    plain, full = (cost(LLAMA, Training(batch=1, recompute=how), site()) for how in ("none", "full"))
    # forward is a third of the work, and the head is not repeated
    assert 1.2 < full[1] / plain[1] < 4 / 3 + 0.02


def test_frozen_weights_leave_out_their_gradients():
    whole, lora = (estimate("llama-2-7b", A100, Training(batch=2, trainable=what)) for what in ("all", "lora"))
    # a token and weight: 2 FLOP forward, 2 for each gradient; attention, 4 forward and 10 backward for each pair and channel, stays
    weights, attention = 6.738e9 - 32000 * 4096, 14 * 2048 * 4096 * 32
    assert lora.matmul_flop / whole.matmul_flop == pytest.approx((4 * weights + attention) / (6 * weights + attention), rel=1e-3, abs=0)


@settings(deadline=None, max_examples=8)
@given(st.sampled_from(["gpt2", "gpt2-xl", "llama-2-7b", "llama-2-70b"]), st.integers(1, 4), st.integers(16, 1024))
def test_traced_and_closed_form_training_flop_agree_exactly(name, batch, tokens):
    # 6 FLOP for each token and weight; attention: two products forward, five backward, 2 s h FLOP each for a token of a layer
    layers, width, ffn, key, vocabulary, gates = {
        "gpt2": (12, 768, 3072, 768, 50257, 2), "gpt2-xl": (48, 1600, 6400, 1600, 50257, 2),
        "llama-2-7b": (32, 4096, 11008, 4096, 32000, 3), "llama-2-70b": (80, 8192, 28672, 1024, 32000, 3),
    }[name]  # fmt: skip
    weights = layers * (2 * width**2 + 2 * width * key + gates * width * ffn) + vocabulary * width
    shape = shape_of(load_architecture(name))
    kernels = kernels_of(shape, Training(), batch, tokens, load_stack("eager"))
    traced = sum(kernel.launches * work_of(kernel).matmul_flop for kernel in kernels)
    assert traced == batch * tokens * (6 * weights + 14 * tokens * width * layers)


def test_a_pipeline_waits_at_its_ends():
    run = Training(batch=1, sequence_tokens=2048, global_batch=8)
    phases = run_phases(LLAMA, run, site(pipeline=4))
    busy = sum(seconds(p) for p in phases if p.name in ("forward", "backward"))
    idle = sum(seconds(p) for p in phases if p.name == "idle")
    assert idle / busy == pytest.approx(3 / 8, rel=1e-9, abs=0)  # (p - 1) / m


def test_every_joule_has_a_phase_and_a_component():
    answer = estimate("llama-2-7b", A100, Training(steps=3, global_batch=64), parallel=Parallel(tensor=2, data=8), facility="laboratory")
    for by in ("phase", "component", "layer"):
        assert sum(row["energy"] for row in answer.rows(by)) == pytest.approx(answer.energy, rel=1e-9, abs=0)
    assert sum(answer.facility.parts.values()) == pytest.approx(answer.facility.energy, rel=1e-12, abs=0)
    assert answer.devices == 16 and 0 < answer.mfu < 1 and answer.facility.energy > answer.energy


def test_the_timeline_covers_the_run():
    answer = estimate("gpt2", A100, Training(steps=10, batch=4, sequence_tokens=256))
    line = answer.timeline()
    assert [one["name"] for one in line][:3] == ["forward", "backward", "optimizer"]
    assert line[-1]["start"] + line[-1]["time"] == pytest.approx(answer.time, rel=1e-9, abs=0)
    assert sum(one["energy"] for one in line) == pytest.approx(answer.energy, rel=1e-9, abs=0)
    assert all(one["power"] <= A100.power.limit * (1 + 1e-9) for one in line)


def test_best_for_takes_the_fastest_that_fits_and_says_why():
    found = Parallel.best_for("llama-2-7b", "A100", 16, 64, sequence_tokens=4096)
    assert found.parallel.devices == 16
    assert found.memory < 80e9
    assert found.why.startswith("Least time of") and "next:" in found.why


@pytest.mark.parametrize(
    ("settings_", "parallel", "message"),
    [
        ({"global_batch": 10}, {"data": 8}, "global_batch=10: 8 replicas with micro-batches of 1 take multiples of 8; the nearest is 8"),
        (
            {"global_batch": 8},
            {"tensor": 3},
            "tensor=3: llama-2-7b has 32 attention heads, which 3 ranks cannot share; the nearest",
        ),
        ({"global_batch": 8}, {"pipeline": 64}, "pipeline=64: llama-2-7b has 32 layers; use at most 32 stages"),
        ({"global_batch": 8, "sequence_tokens": 8192}, {"data": 8}, "sequence_tokens=8192: 8192 tokens exceed the 4096 positions"),
    ],
)
def test_what_does_not_divide_is_refused_with_the_nearest_that_does(settings_, parallel, message):
    with pytest.raises(InvalidSetting) as caught:
        estimate("llama-2-7b", A100, Training(**settings_), parallel=Parallel(**parallel))
    assert message in str(caught.value)


def test_what_does_not_fit_is_refused_and_the_nearest_layout_named():
    with pytest.raises(Infeasible) as caught:
        estimate("llama-2-70b", A100, Training(global_batch=16), parallel=Parallel(data=16))
    assert "data 16 does not fit: a device needs" in str(caught.value) and "the nearest that fits is" in str(caught.value)


def test_settings_are_checked():
    for wrong, message in (
        ({"steps": 0}, "steps=0: expected a whole number of at least 1"),
        ({"tokens": 1e9, "steps": 3}, "steps and tokens were given together; one of them says how long the run is"),
        ({"packing": "x"}, "packing='x': expected a share between 0 and 1"),
        ({"frozen": 1.5}, "frozen=1.5: expected a share between 0 and 1"),
        ({"evaluation_every": 5}, "evaluation_every and evaluation_samples belong together"),
        ({"packing": 0.0}, "packing=0.0: expected a finite number above zero"),
    ):
        with pytest.raises(InvalidSetting) as caught:
            Training(**wrong)
        assert message in str(caught.value)
    for name in ("optimizer", "precision", "recompute", "trainable", "sharding"):
        with pytest.raises(UnknownName, match="nonsense"):
            Training(**{name: "nonsense"})


def test_tokens_make_steps():
    # 1e6 tokens ÷ (8 × 1024 × 0.5 real ones) = 244.1
    assert Training(tokens=1e6, global_batch=8, sequence_tokens=1024, packing=0.5).total_steps == 245


@pytest.mark.parametrize("name", list_practices())
def test_every_practice_is_a_set_of_shares(name):
    practice = load_practice(name)
    for share in ("kernel_share", "overlap_data", "overlap_tensor", "usable_memory"):
        assert 0 <= getattr(practice, share) <= 1


@pytest.mark.parametrize("name", list_clusters())
def test_every_cluster_has_a_node_and_a_network_that_grows(name):
    cluster = load_cluster(name)
    assert cluster.network_power(1) == 0
    powers = [cluster.network_power(n) for n in (16, 1024, 65536)]
    assert powers == sorted(powers) and powers[-1] > 0


@pytest.mark.parametrize(("hw", "devices"), [("h100-sxm", 8), ("h100-sxm", 64), ("a100-sxm-80gb", 64)])
def test_hidden_exchanges_do_not_lift_devices_over_their_power_cap(hw, devices):
    answer = estimate("llama-3.1-8b", hw, Training(global_batch=512, sequence_tokens=4096), devices=devices)
    assert answer.power <= load_profile(hw).power.limit * devices * (1 + 1e-9)


@given(power=st.floats(min_value=50, max_value=700), limit=st.floats(min_value=100, max_value=700))
def test_an_exchange_behind_work_at_the_cap_takes_the_time_of_its_joules(power, limit):
    # made by hand: half of the joules leak, so hidden h = power/2 J and alone a = power J in 1 s; e = h / (limit - (a - h))
    phase = estimate_of(("communication", [entry(power)])).phases[0]
    share = least_exposed(phase, limit)
    assert share == pytest.approx(min(power / 2 / (limit - power / 2), 1.0) if limit > power / 2 else 1.0, rel=1e-12, abs=0)
    if share < 1:
        shown = behind(phase, share)
        assert joules(shown) / seconds(shown) == pytest.approx(limit, rel=1e-12, abs=0)


def test_deep_pipelines_are_interleaved_where_that_is_faster():
    # of 16 micro-batches in 16 stages, 15/16 of the time is bubble, or 15/(16 × 7) with a stretch for each of 7 layers
    asked = ("llama-3.1-405b", "H100", 16384, 2048)
    free = Parallel.best_for(*asked, sequence_tokens=8192)
    plain = Parallel.best_for(*asked, sequence_tokens=8192, fixed=("interleave",))
    assert plain.run.interleave == 1 < free.run.interleave
    assert free.time < plain.time
    assert f"interleave {free.run.interleave}, " in str(free)
