"""Published names lead to the model of their size, whoever published it and however it was tuned, or to none."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator.model.architecture import _by_lower, bundled_name, list_models, load_architecture
from estimator.model.names import SIZE, find, words
from estimator.model.published import stored

ALIASES = sorted(_by_lower())
PACKED = {"": None, "-FP8": "fp8", "-AWQ": "int4", "-GPTQ-Int4": "int4", "-quantized.w8a8": "int8", "-NVFP4": "nvfp4", "-bnb-4bit": "int4"}
SIZED = [alias for alias in ALIASES if any(SIZE.fullmatch(word) for word in words(alias))]
UNITS = {"b": 1e9, "m": 1e6}


@given(
    st.sampled_from(ALIASES),
    st.sampled_from(["", "acme/", "unsloth/"]),
    st.sampled_from(["", "-Instruct", "-chat-hf"]),
    st.sampled_from(sorted(PACKED)),
)
def test_owner_tuning_and_packing_of_weights_do_not_change_the_model(alias, owner, tuned, packed):
    plain, scheme = stored(owner + alias.rpartition("/")[2] + tuned + packed)
    assert bundled_name(plain) == _by_lower()[alias]
    assert scheme == PACKED[packed] or (not packed and stored(alias)[1] == scheme)


@given(st.sampled_from(SIZED), st.integers(1, 999))
def test_another_size_is_another_model_or_none(alias, number):
    short = alias.rpartition("/")[2]
    other = re.sub(r"(?<![\d.a-z])\d+(\.\d+)?(?=[bm](?![a-z\d]))", str(number), short)
    found = bundled_name(other)
    if other != short and found is not None:
        stated = {word for word in words(other) if SIZE.fullmatch(word)}
        assert any(stated <= set(words(known)) for known, entry in _by_lower().items() if entry == found)


ONE_EMBEDDING = {"olmo-20m", "olmo-60m"}  # whose names count one of two embeddings, which are most of so small a model


@pytest.mark.parametrize(
    "model", [name for name in list_models() if load_architecture(name).kind == "causal-lm" and name not in ONE_EMBEDDING]
)
def test_a_name_that_states_a_size_has_about_that_many_parameters(model):
    # publishers round, and the Gemmas leave the embedding out (Gemma 2 2B: 2.6 billion)
    architecture = load_architecture(model)
    for alias in (model, *architecture.aliases):
        stated = [_stated(word) for word in words(alias) if SIZE.fullmatch(word)]
        if stated:
            near = architecture.parameters == pytest.approx(max(stated), rel=0.31, abs=0)
            assert near or architecture.active_parameters == pytest.approx(max(stated), rel=0.1, abs=0), alias


def _stated(word):
    """Parameters: `8x7b` is a mixture whose experts share the attention, 46.7 billion for 8 of 7 (Mistral AI, 2023); `7b1` is 7.1."""
    experts, number, unit, tenth = re.fullmatch(r"(?:(\d+)x)?(\d+(?:\.\d+)?)([bm])(\d?)", word).groups()
    return float(f"{number}.{tenth}" if tenth else number) * UNITS[unit] * (0.83 * int(experts) if experts else 1)


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("NousResearch/Llama-2-7b-chat-hf", "llama-2-7b"),
        ("meta/Meta-Llama-3.1-8B-Instruct", "llama-3.1-8b"),
        ("mistralai/Mixtral-8x7B-Instruct-v0.3", "mixtral-8x7b"),
        ("lmsys/vicuna-13b-v1.5", "llama-2-13b"),
        ("Qwen/Qwen3-8B-2507", "qwen3-8b"),
        ("stabilityai/stable-diffusion-2-1-base", "stable-diffusion-2.1-base"),
        ("stabilityai/stable-diffusion-2-1", "stable-diffusion-2.1"),
        ("mistral-7b-v0.9", None),  # versions of it differ in window and vocabulary
        ("DeepSeek-V9", None),  # no size: the version is the model
        ("llama-3.1-9b", None),
        ("Qwen/Qwen3-VL-30B-A3B-Thinking", "qwen3-vl-30b-a3b"),
        ("Qwen/Qwen3-VL-4B-Instruct", None),
        ("nvidia/NVIDIA-Nemotron-Nano-12B-v2", "nemotron-nano-12b-v2"),
        ("nvidia/NVIDIA-Nemotron-Nano-12B-v2-VL-BF16", "nemotron-nano-12b-v2-vl"),
        ("meta-llama/Llama-3.1-8B-Instruct-FP8", None),  # narrower weights are asked of `stored` first
    ],
)
def test_names_as_they_are_published(name, model):
    assert bundled_name(name) == model


def test_words_that_two_models_share_lead_to_neither():
    known = {"bert-1b-v1": "one", "bert-1b-v2": "two", "acme/gpt-3b-v1": "three"}
    assert find("bert-1b-v3", known) is None and find("bert-1b", known) is None
    assert find("Bert-1B-Chat-v2", known) == "two" and find("gpt-3b-v7", known) == "three"
