"""The figures that ship with the package are predicted as any other row."""

from estimator.validation.evaluate import evaluate
from estimator.validation.published import published_rows


def test_every_published_row_is_predicted_or_skipped_with_its_reason():
    done = evaluate(published_rows())
    assert not done.faults
    assert len(done.results) > len(done.skipped)
    assert all(skipped.why for skipped in done.skipped)
