"""What a training step keeps: divided and computed again as published, and never more for keeping less."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from estimator import Parallel, Training, estimate, load_architecture, load_profile
from estimator.errors import InvalidSetting
from estimator.run.training_memory import activation_parts, activations, choices, memory_of
from estimator.run.training_plan import site_of
from estimator.run.training_settings import RECOMPUTE
from estimator.run.transformer import shape_of

A100 = load_profile("A100")
GPT3, LLAMA, GPT2 = (shape_of(load_architecture(name)) for name in ("gpt3-175b", "llama-2-7b", "gpt2"))


def site(practice="megatron", **degrees):
    return site_of(A100, None, Parallel(**degrees), "dgx-a100", practice)


def of_a_layer(shape, run, where):
    parts = activation_parts(shape, run, where)
    return sum(size for part, size in parts.items() if part.place == "layers" and not part.working) / shape.layers


@settings(deadline=None, max_examples=25)
@given(st.sampled_from(["megatron-2021", "megatron", "fsdp"]), st.sampled_from([1, 2, 4]), st.sampled_from([1, 2, 4]), st.booleans())
def test_less_is_kept_with_each_step_of_recomputation_and_with_each_way_to_share(practice, tensor, batch, split):
    run = Training(batch=batch, global_batch=64, sequence_tokens=1024, sequence_parallel=split)
    kept = [activations(LLAMA, replace(run, recompute=how), site(practice, tensor=tensor)) for how in RECOMPUTE]
    assert kept == sorted(kept, reverse=True)
    assert activations(LLAMA, run, site(practice, tensor=2 * tensor)) < kept[0]
    assert activations(LLAMA, replace(run, sequence_parallel=True), site(practice, tensor=tensor)) <= kept[0]
    assert activations(LLAMA, replace(run, batch=2 * batch), site(practice, tensor=tensor)) > kept[0]


@pytest.mark.parametrize("tensor", [1, 2, 8])
@pytest.mark.parametrize(("split", "how"), [(False, "none"), (True, "none"), (False, "selective"), (True, "selective")])
def test_a_layer_of_gpt_3_keeps_what_korthikanti_et_al_count(tensor, split, how):
    # arXiv:2205.05198, equations 1 to 6, a layer of width h with a heads: s b h (10 + 24 / t + 5 a s / (h t)); with sequence parallelism
    # 34 / t in place of 10 + 24 / t, with selective recomputation no scores. Here row statistics of norms and attention come on top.
    s, b, h, a = 2048, 2, 12288, 96
    run = Training(batch=b, sequence_tokens=s, sequence_parallel=split, recompute=how)
    whole, scores = (34 / tensor if split else 10 + 24 / tensor), 5 * a * s / (h * tensor)
    expected = s * b * h * (whole + (scores if how == "none" else 0))
    assert of_a_layer(GPT3, run, site("megatron-2021", tensor=tensor)) == pytest.approx(expected, rel=0.005, abs=0)


def test_a_layer_of_llama_keeps_what_its_backward_reads():
    # bytes of a token, width h = 4096, inner width f = 11008, 32 heads, in 2 bytes: two inputs of norms and their two results, query, key,
    # value and output of attention, 8 h in all; gate, up and their product, 3 f; fp32: two means of squares, a sum of exponents a head.
    # Norms' results and the product of the gate come of others without a matrix product: 2 h + f less.
    h, f, tokens = 4096, 11008, 2048
    run = Training(batch=1, sequence_tokens=tokens)
    rows = 4 * (2 + 32)
    assert of_a_layer(LLAMA, run, site()) == tokens * (2 * (8 * h + 3 * f) + rows)
    light = replace(run, recompute="elementwise")
    assert of_a_layer(LLAMA, light, site()) == tokens * (2 * (6 * h + 2 * f) + rows)


def test_eager_execution_keeps_more_than_a_compiler():
    run = Training(batch=1, sequence_tokens=2048)
    assert of_a_layer(LLAMA, run, site("fsdp")) > 1.2 * of_a_layer(LLAMA, run, site("megatron"))


def test_a_gathered_layer_is_there_whole_while_it_computes():
    run = Training(batch=1, global_batch=64, sharding="zero3")
    weights = [memory_of(LLAMA, run, site("fsdp", data=data))["weights"] for data in (8, 64)]
    assert weights[1] > 2 * 2 * 6.7e9 / 32  # two layers of 32
    assert weights[1] < weights[0] < 2 * 6.8e9


def test_the_first_stage_holds_a_micro_batch_for_each_stage_and_the_last_the_logits():
    run = Training(batch=1, global_batch=64, sequence_tokens=2048)
    one, four = (activations(LLAMA, run, site(pipeline=n)) for n in (1, 4))
    assert four == pytest.approx(one, rel=0.1, abs=0)  # a quarter of the layers, four times
    interleaved = activations(LLAMA, replace(run, interleave=8), site(pipeline=4))
    assert interleaved / four == pytest.approx(1 + 3 / 32, rel=0.02, abs=0)  # Korthikanti et al., section 4.2.3
    short = activations(GPT2, replace(run, sequence_tokens=1024), site(pipeline=12))
    assert short > 2 * 1024 * 50257 * 4  # gpt2 in fp32: logits and their gradient


def test_precision_narrows_what_is_kept():
    run = Training(batch=4, sequence_tokens=512)
    assert activations(GPT2, replace(run, precision="bf16"), site("fsdp")) == activations(GPT2, run, site("fsdp")) / 2


def test_attention_alone_is_recomputed_only_where_its_scores_are_kept():
    assert choices(site("megatron")) == ["none", "elementwise", "full"]
    assert choices(site("megatron-2021")) == list(RECOMPUTE)


def test_the_estimate_says_what_recomputation_is_for():
    run = Training(batch=1, global_batch=64, recompute="full")
    said = " ".join(estimate("llama-2-7b", "A100", run, parallel=Parallel(data=8, tensor=2)).assumptions)
    assert "recomputation full keeps activations of" in said and "without it a device would need" in said


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"sequence_parallel": True}, "tensor=1; give Parallel"), ({"sequence_parallel": "yes"}, "expected True, False, or None")],
)
def test_sharing_tokens_that_tensor_parallelism_does_not_leave_is_refused(changes, message):
    with pytest.raises(InvalidSetting, match=message):
        estimate("llama-2-7b", "A100", Training(global_batch=8, **changes), parallel=Parallel(data=8))
