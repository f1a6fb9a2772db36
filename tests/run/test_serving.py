"""Continuous batching in its steady state: laws that must hold, cases derived by hand, a published figure."""

from math import exp

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest import approx

from estimator import Inference, Parallel, Serving, estimate
from estimator.errors import InvalidSetting
from estimator.hardware.catalogue import load_profile
from estimator.model.architecture import load_architecture
from estimator.run.lengths import Lengths
from estimator.run.serving_step import Steps
from estimator.run.stack import load_stack
from estimator.run.steady import Chunk, Steady, _pieces, in_flight, mix_of, total_energy

MODEL, STACK, H100 = load_architecture("llama-3.1-8b"), load_stack("serving"), load_profile("H100")


def steady(flight: float, parallel: Parallel | None = None, profile=H100, **settings) -> Steady:
    run = Serving(concurrency=flight, **settings)
    return Steady(Steps(MODEL, profile, STACK, parallel or Parallel()), run, flight)


def step_energy(flight: float, **settings) -> float:
    return total_energy(steady(flight, **settings).phases())


flights = st.floats(1, 500)
outputs = st.integers(2, 4000)


@settings(max_examples=15)
@given(flights, outputs, st.integers(16, 4000))
def test_more_requests_in_flight_never_make_a_step_cheaper(flight, output, prompt):
    lengths = {"output_tokens": output, "prompt_tokens": prompt}
    assert step_energy(2 * flight, **lengths) >= step_energy(flight, **lengths)


def test_energy_per_token_falls_with_the_batch_until_products_are_bound_by_arithmetic():
    per_token = [step_energy(flight) / flight for flight in (1, 4, 16, 64, 256)]
    assert per_token == sorted(per_token, reverse=True)
    assert per_token[0] / per_token[1] > 3 and per_token[3] / per_token[4] < 2


@settings(max_examples=10)
@given(flights, outputs)
def test_one_device_is_no_parallelism(flight, output):
    alone, one = steady(flight, output_tokens=output), steady(flight, Parallel(tensor=1, expert=1), output_tokens=output)
    assert [phase.entries for phase in alone.phases()] == [phase.entries for phase in one.phases()]


@settings(max_examples=5)
@given(flights, outputs)
def test_links_of_infinite_bandwidth_cost_no_time(flight, output):
    link = H100.links["nvlink"]
    free = link.model_copy(update={"bandwidth": type(link.bandwidth)(1e30), "latency": type(link.latency)(0.0)})
    fast = H100.model_copy(update={"links": {"nvlink": free}})
    four = steady(flight, Parallel(tensor=4), fast, output_tokens=output)
    spans = [e for p in four.phases() for e in p.entries if e.kind == "communication"]
    launches = sum(e.launches for e in spans)
    # what remains is launching, and bringing what is sent through L2
    assert sum(e.time for e in spans) <= launches * float(STACK.kernel_overhead) + sum(e.traffic["l2"] for e in spans) / 1e12


def test_ranks_share_the_weights_and_repeat_few_key_heads():
    # Each of four ranks reads a quarter of the weights; a step of one sequence is nearly nothing but that.
    whole, quarter = (
        sum(e.traffic["memory"] for phase in steady(1, parallel).phases() for e in phase.entries if e.kind == "matmul")
        for parallel in (Parallel(), Parallel(tensor=4))
    )
    assert quarter == approx(whole / 4, rel=0.01, abs=0)
    # 8 key heads on 16 ranks: two ranks hold the same one, so a rank reads an eighth of the cache.
    caches = [
        sum(e.traffic["memory"] for phase in steady(64, parallel).phases() for e in phase.entries if e.kind == "attention")
        for parallel in (Parallel(), Parallel(tensor=16))
    ]
    assert caches[1] == approx(caches[0] / 8, rel=0.02, abs=0)


def test_two_sums_a_layer_and_one_of_the_embeddings():
    parts = steady(64, Parallel(tensor=8)).kinds[0][1]
    sums = sum(part.asked.launches for part in parts if part.asked.name.startswith("all_reduce"))
    assert sums == 2 * 32 + 1


def test_arrivals_fill_steps_as_poisson_says():
    # 100 in flight, 50 tokens each: two arrive in a step on the mean, so a share exp(-2) of the steps has no prompt in it.
    mix = mix_of(Serving(concurrency=100, prompt_tokens=300, output_tokens=50), 100)
    assert mix.pure == approx(exp(-2), rel=1e-9, abs=0)
    assert sum(chunk.share * chunk.prompts for chunk in mix.chunks) == approx(2, rel=1e-9, abs=0)


def test_prompts_that_fill_every_step_leave_fewer_to_decode():
    run = Serving(concurrency=500, prompt_tokens=20000, output_tokens=20, chunk_tokens=2048)
    mix = mix_of(run, 500)
    # In a step 2048 - N tokens of prompts find room beside N decoding ones; N / 20 requests of 20000 tokens arrive in it.
    assert mix.decoding == approx(2048 / (20000 / 20 + 1), rel=0.02, abs=0)


@given(st.floats(0.01, 1), st.floats(10, 1e5))
def test_a_prompt_in_pieces_has_the_rows_and_the_attention_of_the_whole(prompts, tokens):
    # n tokens attend to n / 2 others on the mean; a piece of m to the (n - m) / 2 before it on the mean, and to m / 2 of its own
    whole, new, cached = _pieces(Chunk(1.0, prompts, tokens, 1 / prompts), 0.0)
    assert whole == 1
    assert whole * new == approx(prompts * tokens, rel=1e-9, abs=0)
    assert whole * new * (cached + new / 2) == approx(prompts * tokens * tokens / 2, rel=1e-9, abs=0)


@pytest.mark.parametrize("chunk", [2, 65, 600, 2048])
def test_prompts_beyond_a_chunk_are_served_and_the_fewer_the_smaller_it_is(chunk):
    few, many = (
        estimate("llama-3.1-8b", "H100", Serving(concurrency=32, prompt_tokens=8000, output_tokens=50, chunk_tokens=tokens))
        for tokens in (chunk, 4 * chunk)
    )
    assert 0 < few.service["requests_per_second"] <= many.service["requests_per_second"] * 1.05


def test_a_chunk_holds_a_token_to_decode_and_one_of_a_prompt():
    with pytest.raises(InvalidSetting, match="chunk_tokens=1: expected at least 2, a token to decode and one of a prompt"):
        Serving(chunk_tokens=1)


def test_long_requests_are_met_more_often():
    # Equal lengths: halfway through its n tokens a request has (n - 1) / 2 behind it. Lengths 100 and 300 alike: the long one is met
    # three times as often, so E[n²] / (2 E[n]) = (100² + 300²) / (2 · 400) = 125.
    assert in_flight(Lengths(50), Lengths(101)).mean == approx(50 + 50, rel=1e-9, abs=0)
    spread = Serving(output_tokens=[100, 300]).outputs
    assert in_flight(Lengths(50), spread).mean == approx(50 + 125 - 1 / 2, rel=1e-9, abs=0)


def test_quantiles_give_mean_and_spread():
    # half of the lengths from 0 to 100 evenly, half at 100: mean 75, E[x²] = (100²/3 + 100²) / 2
    given_ = Serving(prompt_tokens={0.0: 0, 0.5: 100, 1.0: 100}).prompts
    assert given_.mean == approx(75, rel=1e-9, abs=0)
    assert given_.spread == approx(((100**2 / 3 + 100**2) / 2 / 75**2 - 1) ** 0.5, rel=1e-9, abs=0)


def test_replicas_multiply_throughput_and_leave_joules_for_a_request_alone():
    one, three = (estimate("llama-3.1-8b", "H100", Serving(concurrency=32, replicas=n)) for n in (1, 3))
    assert three.energy == approx(one.energy, rel=1e-9, abs=0)
    assert three.power == approx(3 * one.power, rel=1e-9, abs=0) and three.time == approx(one.time / 3, rel=1e-9, abs=0)


def test_a_rate_is_served_and_idle_time_is_paid_for():
    busy, quiet = (estimate("llama-3.1-8b", "H100", Serving(request_rate=rate, requests=100)) for rate in (10, 0.01))
    assert busy.time == approx(10, rel=1e-6, abs=0) and quiet.time == approx(10000, rel=1e-6, abs=0)
    assert quiet.service["energy_per_request"] > 20 * busy.service["energy_per_request"]
    # Little's law: in flight = rate × (first token + 255 gaps)
    service = busy.service
    stay = service["time_to_first_token_mean"] + 255 * service["inter_token_latency_mean"]
    assert service["in_flight"] == approx(10 * stay, rel=0.1, abs=0)


def test_switching_off_saves_the_idle_hours():
    day = {"request_rate": 1.0, "hourly": (1.0, 0.0), "requests": 100}
    on, off = (estimate("llama-3.1-8b", "H100", Serving(**day, scale_to_zero=off)) for off in (False, True))
    idle = sum(row["energy"] for row in on.rows("phase") if row["name"] == "idle")
    assert off.energy < on.energy and on.energy - off.energy > idle / 2


def test_percentiles_rise_and_sums_close():
    done = estimate("llama-3.1-8b", "H100", Serving(concurrency=128, prompt_tokens={0.5: 95, 0.9: 2157, 1.0: 6000}))
    for name in ("time_to_first_token", "inter_token_latency"):
        figures = [done.service[f"{name}_p{share}"] for share in (50, 90, 99)]
        assert figures == sorted(figures) and figures[0] > 0
    for cut in ("phase", "component", "layer", "event", "kernel"):
        assert sum(row["energy"] for row in done.rows(cut)) == approx(done.energy, rel=1e-9, abs=0)
    service = done.service
    outputs, prompts = 256 * service["energy_per_output_token"], done.energy / 1000 - 256 * service["energy_per_output_token"]
    assert outputs > prompts > 0
    assert type(done).from_json(done.to_json()) == done


def test_a_published_figure():
    # ML.ENERGY leaderboard v3 (github.com/ml-energy/leaderboard@0cd52da): Llama-3.1-8B on one H100, lm-arena-chat, 64 in flight:
    # 610 W and 12.4 ms a step; the noise between laboratories is 5 to 17 %.
    run = Serving(concurrency=63.9, prompt_tokens=Lengths(670, 1.7), output_tokens=Lengths(396, 0.7), cached_share=1 - 290 / 670)
    done = estimate("llama-3.1-8b", "H100", run)
    assert done.energy / done.tokens == approx(610.3 * 12.42e-3 / 63.9, rel=0.2, abs=0)


def test_inference_over_ranks_takes_less_time_and_more_joules():
    run = Inference(batch=8, output_tokens=64)
    one, four = (estimate("llama-3.1-8b", "H100", run, parallel=parallel) for parallel in (None, Parallel(tensor=4)))
    assert four.time < 0.7 * one.time and four.energy > one.energy
    staged = estimate("llama-3.1-8b", "H100", run, parallel=Parallel(pipeline=2))
    assert {row["name"] for row in staged.rows("phase")} == {"prefill", "decode", "communication", "host"}


def test_a_draft_yields_what_is_accepted_in_a_row():
    # three proposals, each accepted with probability 1/2: 1 + 1/2 + 1/4 + 1/8 tokens a step; with probability 0 they are wasted
    run = Serving(draft="llama-3.2-1b", draft_tokens=3, acceptance=0.5)
    assert run.tokens_per_step == 1.875
    alone, hit, missed = (
        estimate("llama-3.1-8b", "H100", Serving(concurrency=1, **draft))
        for draft in ({}, {"draft": "llama-3.2-1b", "acceptance": 0.9}, {"draft": "llama-3.2-1b", "acceptance": 0.0})
    )
    assert hit.energy < alone.energy < missed.energy
    assert hit.service["inter_token_latency_mean"] < alone.service["inter_token_latency_mean"]


def test_launching_every_kernel_takes_longer_than_graphs():
    graphs, single = (estimate("llama-3.2-1b", "B200", Serving(concurrency=1, cuda_graphs=graphs)) for graphs in (True, False))
    assert single.time > graphs.time


def test_an_engine_of_2024_hands_inputs_to_every_rank():
    # beyond the sum of gaps: 2 × (9 ms + 64 × 15 µs) = 19.92 ms in each step on two ranks, nothing on one
    def handed(parallel):
        steps = Steps(load_architecture("llama-3.1-8b"), load_profile("H100"), load_stack("vllm-0.5"), parallel)
        phases = Steady(steps, Serving(concurrency=64), 64.0).phases()
        return sum(e.time for phase in phases for e in phase.entries if e.name == "waiting for inputs of all ranks")

    assert handed(Parallel()) == 0
    assert handed(Parallel(tensor=2)) == approx(19.92e-3, rel=1e-9, abs=0)


def test_errors_say_what_is_allowed():
    with pytest.raises(
        InvalidSetting, match=r"tensor=3: llama-3.1-8b has 32 attention heads, which 3 ranks cannot share; allowed: 1, 2, 4, 8"
    ):
        estimate("llama-3.1-8b", "H100", Serving(), parallel=Parallel(tensor=3))
    with pytest.raises(
        InvalidSetting, match=r"concurrency=1000: the key-value cache of 512 \+ 256 tokens a request has room for \d+ at most"
    ):
        estimate("llama-3.1-8b", "H100", Serving(concurrency=1000))
    with pytest.raises(
        InvalidSetting, match=r"llama-3.1-70b needs .* on each device for its weights and one request.*Parallel\(tensor=…\)"
    ):
        estimate("llama-3.1-70b", "H100", Serving())
    with pytest.raises(InvalidSetting, match=r"request_rate=1000 per second: 1 replicas with \d+ requests in flight each serve .* at most"):
        estimate("llama-3.1-8b", "H100", Serving(request_rate=1000))
    with pytest.raises(InvalidSetting, match="tokens exceed the 131072 positions of llama-3.1-8b; take at most 131072"):
        estimate("llama-3.1-8b", "H100", Serving(prompt_tokens=200000))
    with pytest.raises(InvalidSetting, match="concurrency was given together with request_rate"):
        Serving(concurrency=1, request_rate=1)
    with pytest.raises(InvalidSetting, match=r"lengths='long': give tokens as a number, a list of lengths, or quantiles"):
        Serving(prompt_tokens="long")
    with pytest.raises(
        InvalidSetting, match=r"stack 'eager' batches no requests continuously: Serving goes with stack= one of serving, vllm-0.5"
    ):
        estimate("llama-3.1-8b", "H100", Serving(), stack="eager")
    with pytest.raises(InvalidSetting, match="bert-base is of the kind 'encoder': Serving is for language models that decode"):
        estimate("bert-base", "H100", Serving())
    with pytest.raises(InvalidSetting, match=r"batch=3: 2 replicas × 1 stages need a multiple of 2"):
        estimate("llama-3.1-8b", "H100", Inference(batch=3), parallel=Parallel(data=2))
