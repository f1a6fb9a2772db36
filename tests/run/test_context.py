"""Sequences are no longer than the model has positions, unless it was stretched."""

import pytest

from estimator import Inference, Serving, Training, estimate
from estimator.errors import InvalidSetting


@pytest.mark.parametrize(
    ("run", "said"),
    [
        (Inference(prompt_tokens=1500, output_tokens=2), "prompt_tokens=1500, output_tokens=2: 1502"),
        (Serving(prompt_tokens=1500, output_tokens=2), "requests of 1500 prompt and 2 output tokens: 1502"),
        (Training(sequence_tokens=1502), "sequence_tokens=1502: 1502"),
    ],
)
def test_more_tokens_than_positions_are_refused_with_the_limit_and_the_way_around_it(run, said):
    refused = f"^{said} tokens exceed the 1024 positions of gpt2; take at most 1024, or say max_positions=1502"
    with pytest.raises(InvalidSetting, match=refused):
        estimate("gpt2", run=run)
    assert estimate("gpt2", run=run, max_positions=1502).energy > 0


def test_training_takes_no_longer_sequences_than_the_model_unless_asked():
    assert estimate("gpt2", run=Training()).run["sequence_tokens"] == 1024
    assert estimate("llama-3.1-8b", run=Training()).run["sequence_tokens"] == 2048


def test_positions_are_those_of_an_architecture():
    with pytest.raises(InvalidSetting, match="max_positions=0: expected a whole number"):
        estimate("gpt2", max_positions=0)
