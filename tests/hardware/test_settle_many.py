"""Many operating points in one search: which samples and which phases stand beside one another changes none of them."""

from dataclasses import fields

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest import approx

from estimator.hardware.catalogue import load_profile
from estimator.hardware.events import CYCLE, priced
from estimator.hardware.settle_many import PointMany, WorkMany, settle_many, settle_phases
from estimator.hardware.some_samples import SomeSamples
from estimator.run.uncertainty_samples import Sampled, Sampler

SAMPLES = 128
PROFILE = load_profile("H100")
QUANTITIES = {f"hardware.{path}": one for path, one in PROFILE.quantities().items()}


def chip():
    """A sampled H100, of which every number that has a range is drawn."""
    nominal = Sampler(QUANTITIES, 1)
    settle_many(Sampled(PROFILE, "hardware", nominal), work([1.0]).at(np.array([0])))
    return Sampled(PROFILE, "hardware", Sampler(QUANTITIES, SAMPLES, tuple(nominal.used)))


def work(kernels, adders=2e17):
    """Kernels of so many milliseconds at 1.5 GHz: from none, which idles, to what no cap lets run at full clock."""
    seconds = 1e-3 * np.array(kernels)[:, None] * np.ones(SAMPLES)
    energy = priced(PROFILE)
    _, capacitance = energy([("full_adder", adders * seconds)])
    return WorkMany(
        1.5e9 * seconds, seconds / 2, 0 * seconds, 0 * seconds, 0 * seconds, capacitance, np.broadcast_to(energy(CYCLE)[1], SAMPLES)
    )


def assert_alike(found, alone):
    for field in fields(PointMany):
        assert getattr(found, field.name) == approx(getattr(alone, field.name), rel=1e-6, abs=0, nan_ok=True)


works = st.builds(work, st.lists(st.floats(0.1, 10), min_size=1, max_size=4), st.floats(1e15, 1e18))


@settings(max_examples=20)
@given(st.lists(works, min_size=1, max_size=4))
def test_phases_settled_in_one_search_have_the_points_that_they_have_alone(phases):
    many = chip()
    for found, phase in zip(settle_phases(many, phases), phases, strict=True):
        assert_alike(found, settle_many(many, phase))


@settings(max_examples=20)
@given(works, st.lists(st.integers(0, SAMPLES - 1), min_size=1, unique=True))
def test_some_samples_have_the_points_that_they_have_among_all(one, few):
    many, index = chip(), np.array(few)
    all_of_them = settle_many(many, one)
    some = PointMany(*(getattr(all_of_them, field.name)[index] for field in fields(PointMany)))
    assert_alike(settle_many(SomeSamples(many, index), one.at(index)), some)


def test_the_samples_hold_capped_and_free_chips():  # or the tests above would not see what they are for
    limits = np.broadcast_to(chip().power.limit, SAMPLES)
    hard, easy = settle_many(chip(), work([1.0], 5e17)), settle_many(chip(), work([1.0], 1e16))
    assert (hard.power >= 0.999 * limits).any()
    assert (easy.power < 0.9 * limits).any()
