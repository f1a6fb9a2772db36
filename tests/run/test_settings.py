"""Runs are checked when they are described."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator.errors import InvalidSetting, UnknownName
from estimator.run.inference import decode_segments
from estimator.run.settings import Inference, Training, describe


@given(st.integers(1, 10**6), st.integers(2, 10**6))
def test_decode_segments_add_up_to_the_growing_context(prompt, output):
    # steps i = 0 … output − 2 attend to prompt + i tokens: the sum is an arithmetic series
    segments = list(decode_segments(prompt, output))
    assert sum(steps for steps, _ in segments) == output - 1
    series = (output - 1) * prompt + (output - 2) * (output - 1) / 2
    assert sum(steps * past for steps, past in segments) == pytest.approx(series, rel=1e-12, abs=0)


def test_one_output_token_needs_no_decode():
    assert list(decode_segments(100, 1)) == []


@pytest.mark.parametrize("name", ["batch", "prompt_tokens", "requests", "output_tokens"])
@pytest.mark.parametrize("value", [-1, 1.5, float("nan"), "8", True])
def test_counts_of_an_inference_must_be_whole_and_positive(name, value):
    with pytest.raises(InvalidSetting, match=f"{name}=.*expected a whole number of at least 1"):
        Inference(**{name: value})


def test_a_prefix_cache_cannot_hold_the_whole_prompt():
    with pytest.raises(InvalidSetting, match=r"cached_tokens=512: expected fewer than prompt_tokens=512"):
        Inference(prompt_tokens=512, cached_tokens=512)


@given(st.integers(1, 1000), st.integers(1, 10**6), st.integers(1, 100))
def test_epochs_and_samples_give_the_steps_rounded_up(batch, samples, epochs):
    steps = Training(batch=batch, epochs=epochs, samples=samples).total_steps
    assert (steps - 1) * batch < epochs * samples <= steps * batch


def test_steps_exclude_epochs():
    with pytest.raises(InvalidSetting, match="give steps, or both of the others"):
        Training(steps=3, epochs=1, samples=10)
    with pytest.raises(InvalidSetting, match="belong together"):
        Training(epochs=1)


@pytest.mark.parametrize("value", [0, -5, 2.5, float("inf")])
def test_steps_must_be_whole_and_positive(value):
    with pytest.raises(InvalidSetting, match="steps=.*whole number of at least 1"):
        Training(steps=value)


def test_an_unknown_optimizer_lists_the_known():
    with pytest.raises(UnknownName, match=r"unknown optimizer 'adamm'. Nearest: .*adam"):
        Training(optimizer="adamm")


def test_settings_describe_themselves_as_plain_data():
    assert describe(Inference(batch=3))["batch"] == 3
    assert describe(Training(steps=2))["optimizer"] == "adamw"
