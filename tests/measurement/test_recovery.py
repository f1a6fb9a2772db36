"""measure → CSV → calibrate → profile: the constants that the simulated card was made with come back within their intervals."""

import pytest

from estimator.__main__ import main
from estimator.hardware.catalogue import load_profile
from estimator.validation.evaluate import evaluate
from estimator.validation.hardware import use
from estimator.validation.reading import read_data
from tests.measurement.session import HARDWARE, TRUTH, true_profile

pytest.importorskip("scipy")


@pytest.fixture(scope="module")
def calibrated(measured, tmp_path_factory):
    """The profile that `calibrate --from measured.csv --like H200` prints."""
    with pytest.MonkeyPatch.context() as patch:
        said = []
        patch.setattr("builtins.print", lambda *text, **_: said.append(" ".join(map(str, text))))
        assert main(["calibrate", "--from", str(measured), "--like", "H200", "--suites", "kernels", "microbench"]) == 0
    path = tmp_path_factory.mktemp("profile") / "mine.toml"
    path.write_text("\n".join(said) + "\n", encoding="utf-8")
    return load_profile(path)


@pytest.mark.parametrize("path", TRUTH, ids=".".join)
def test_every_constant_comes_back_within_its_interval(calibrated, path):
    section, name = path
    fitted, truth = getattr(getattr(calibrated, section), name), float(getattr(getattr(true_profile(), section), name))
    assert fitted.low <= truth <= fitted.high


def test_what_the_rows_tell_apart_is_known_better_than_before(calibrated):
    catalogue, true = load_profile(HARDWARE), true_profile()
    for section, name in (("process", "leakage"), ("achievable", "memory"), ("achievable", "tensor"), ("l2", "bit_capacitance")):
        before, after, truth = (getattr(getattr(profile, section), name) for profile in (catalogue, calibrated, true))
        assert after.high / after.low < before.high / before.low
        assert abs(after - truth) < abs(before - truth)


def errors(path, profile):
    """|predicted ÷ measured - 1| of energy, in order of size."""
    use(profile)
    try:
        results = evaluate(read_data(path)[0]).results
    finally:
        use()
    return sorted(abs(result.error("energy")) for result in results)


def test_the_calibrated_profile_predicts_the_card_also_where_it_was_not_calibrated_on(measured, calibrated):
    stand_in = calibrated.model_copy(update={"name": load_profile(HARDWARE).name})
    before, after = errors(measured, load_profile(HARDWARE)), errors(measured, stand_in)
    assert before[len(before) // 2] > 0.1
    assert after[len(after) // 2] < 0.02
    assert after[-1] < before[-1]
