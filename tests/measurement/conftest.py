"""The whole simulated session, measured once for all tests that read it."""

import sys

import pytest

from estimator.__main__ import main
from estimator.cli import measure as command
from tests.measurement.card import Card
from tests.measurement.fake_nvml import FakeNvml
from tests.measurement.session import Replay


@pytest.fixture(scope="session")
def measured(tmp_path_factory):
    """measured.csv, with the predictions that were written before it beside it."""
    out = tmp_path_factory.mktemp("session") / "measured.csv"
    with pytest.MonkeyPatch.context() as patch:
        replay = Replay(Card(noise=0.01, drift=0.0005))
        patch.setitem(sys.modules, "pynvml", FakeNvml(replay.card))
        patch.setattr(command, "bench_for", lambda meter, device: replay)
        assert main(["measure", "--predict", "--out", str(out)]) == 0
    return out
