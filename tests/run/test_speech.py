"""Speech by the second: windows, the joules of each, and models that hear nothing."""

import pytest

from estimator import Inference, estimate
from estimator.errors import InvalidSetting


def test_audio_is_heard_in_windows_of_half_a_minute():
    # 90 s are three windows, 61 s as well: the last one is padded
    one, three, padded = (estimate("whisper-small", "A100", Inference(output_tokens=20, audio_seconds=s)) for s in (30, 90, 61))
    assert three.energy == pytest.approx(3 * one.energy, rel=1e-9, abs=0) and padded.energy == three.energy
    assert (one.media_seconds, three.media_seconds, padded.media_seconds) == (30, 90, 61)
    assert three.energy_per_media_second == pytest.approx(one.energy / 30, rel=1e-9, abs=0)
    assert (one.tokens, three.tokens, three.samples) == (20, 60, 1)


def test_without_a_length_a_run_is_one_window():
    stated, usual = (
        estimate("whisper-small", run=Inference(output_tokens=20, audio_seconds=30)),
        estimate("whisper-small", run=Inference(output_tokens=20)),
    )
    assert usual.energy == stated.energy and usual.media_seconds == 0


def test_a_model_that_hears_nothing_says_so():
    with pytest.raises(InvalidSetting, match="audio_seconds=30: t5-base reads no sound; leave it out, or choose a speech model"):
        estimate("t5-base", run=Inference(audio_seconds=30))
    with pytest.raises(InvalidSetting, match="audio_seconds"):
        Inference(audio_seconds=-1)
    assert "audio_seconds" not in estimate("t5-base").run
