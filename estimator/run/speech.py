"""Speech recognition: audio is cut into windows of one length, each encoded and written down by itself."""

from dataclasses import replace
from math import ceil

from estimator.errors import InvalidSetting
from estimator.model.architecture import Architecture
from estimator.run.settings import Inference

WINDOW = 30  # exact: seconds of audio that Whisper reads at once, padded with silence (Radford et al. 2022, section 2.3)


def is_speech(model: Architecture) -> bool:
    """Whether the model reads sound, whose spectrogram has one fixed length."""
    return model.kind == "encoder-decoder" and "sequence" not in model.programs["encode"].symbols


def in_windows(model: Architecture, run: Inference) -> Inference:
    """The run with a request for each window of its audio; raises `InvalidSetting` for a model that hears nothing."""
    if run.audio_seconds is None:
        return run
    if not is_speech(model):
        raise InvalidSetting(f"audio_seconds={run.audio_seconds!r}: {model.name} reads no sound; leave it out, or choose a speech model")
    return replace(run, requests=run.requests * ceil(run.audio_seconds / WINDOW))


def heard(run: Inference) -> float:
    """Seconds of audio in the whole run; 0 where none were stated."""
    return run.batch * run.requests * (run.audio_seconds or 0.0)
