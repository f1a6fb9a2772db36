"""Ranges of practice and cluster reach the interval of a training run: exactly at their ends, never narrowing it, and by name."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from estimator import Parallel, Training, estimate, load_architecture, load_profile
from estimator.errors import Infeasible
from estimator.hardware.cluster import load_cluster
from estimator.quantity import Quantity
from estimator.run.phase import origin_of
from estimator.run.practice import load_practice
from estimator.run.repeat import joules, seconds
from estimator.run.stack import load_stack
from estimator.run.training_parallel import run_phases
from estimator.run.training_plan import site_of
from estimator.run.transformer import shape_of
from estimator.run.uncertainty import FIGURES
from estimator.run.uncertainty_propagation import bases_of, price_many, propagate, quantities_of
from estimator.run.uncertainty_responses import of_run, responses, shaped
from estimator.run.uncertainty_samples import Sampler
from tests.run.test_uncertainty_propagation import exactly

GPT2 = shape_of(load_architecture("gpt2"))
RUN = Training(batch=8, sequence_tokens=512, global_batch=512)
NOTHING = {f"structural_error.training.{figure}": Quantity(1.0) for figure in FIGURES}
ONE_PERCENT = 0.01  # the tables have steps of half a percent
RANGED = ["kernel_share", "overlap_data", "gradient_bytes", "straggler_spread", "restart", "checkpoint_seconds", "evaluation_share"]


def phases(practice="megatron", cluster="dgx-a100", chip=None, devices=64, **numbers):
    """A run of GPT-2 on A100; `numbers` replace those of the practice."""
    kind = load_cluster(cluster) if isinstance(cluster, str) else cluster
    how = load_practice(practice).model_copy(update=numbers)
    where = site_of(chip or load_profile("A100"), exactly(load_stack("compiled")), Parallel(data=devices), kind, how)
    return run_phases(GPT2, RUN, where)


def exact_phases(**given):
    """The same without ranges of chip and network, so that only those given are left."""
    return phases("ideal", given.pop("cluster", exactly(load_cluster("dgx-a100"))), exactly(load_profile("A100")), **given)


@settings(max_examples=30, deadline=None)
@given(st.floats(0.1, 10), st.floats(0.2, 1), st.floats(1, 5), st.floats(-2, 2))
def test_a_response_is_exact_at_the_value_and_at_both_ends_and_everywhere_for_powers(value, below, above, power):
    quantity = Quantity(value, "1", value * below, value * above)
    known = responses({"practice.x": quantity}, lambda path, at: (7 * at**power if path else 7 * value**power,))
    if not known:  # nothing moves
        assert all(math.isclose((end / value) ** power, 1, rel_tol=1e-12) for end in (quantity.low, quantity.high))
        return
    for at in (quantity.low, value, quantity.high, math.sqrt(quantity.low * value), math.sqrt(quantity.high * value)):
        (change,) = known["practice.x"].change(np.array([at]))
        assert math.isclose(math.exp(change[0]), (at / value) ** power, rel_tol=1e-9)


def test_a_range_that_reaches_down_to_zero_is_followed_linearly():
    known = responses({"practice.x": Quantity(0.4, "1", 0, 0.8)}, lambda path, at: (math.exp(3 * (at if path else 0.4)),))
    (change,) = known["practice.x"].change(np.array([0, 0.1, 0.4, 0.8]))
    assert change == pytest.approx([-1.2, -0.9, 0, 1.2], rel=1e-12, abs=0)


@pytest.mark.parametrize("hides", [0.0, 0.05, 1.0])  # none, a part and all of the gradients' exchange
@pytest.mark.parametrize("practice", ["megatron", "megatron-2021"])
def test_at_the_values_of_all_numbers_the_samples_are_those_of_the_phases(practice, hides):
    run = phases(practice, overlap_data=Quantity(hides))
    bases, origin = bases_of(run), origin_of(run)
    nominal = Sampler(quantities_of(bases[0]) | origin.quantities(), 1)
    plain = price_many(bases, nominal, 1)
    found = shaped(plain, of_run(origin), nominal)
    for figure in FIGURES:
        assert found[figure] == pytest.approx(plain[figure], rel=1e-12, abs=0)
    for figure, measure in (("energy", joules), ("time", seconds)):
        assert plain[figure] == pytest.approx(sum(map(measure, run)), rel=1e-7, abs=0)  # both roads seek their point to some 1e-9


def test_the_slowest_device_varies_as_the_spread_between_devices_does():
    # Nothing is lost but by waiting for the slowest of 64: time = step × (1 + s √(2 ln 64)) = step × (1 + 2.884 s), beside the host's
    # gaps that are far below a percent. The ends of the interval are those of the range of s.
    found = propagate(exact_phases(straggler_spread=Quantity(0.05, "1", 0.01, 0.2)), NOTHING)
    reach = math.sqrt(2 * math.log(64))
    for bound, end in zip(found.interval(0.9, "time"), (0.01, 0.2), strict=True):
        assert math.isclose(bound, (1 + end * reach) / (1 + 0.05 * reach), rel_tol=ONE_PERCENT)
    assert found.shares["time"]["practice.straggler_spread"] > 0.9


@settings(max_examples=6, deadline=None)
@given(st.sampled_from(RANGED), st.floats(1.2, 3))
def test_widening_a_range_of_the_practice_never_narrows_the_interval(name, factor):
    given = getattr(load_practice("megatron"), name)
    wider = Quantity(float(given), given.unit, given.low / factor, given.high * factor)
    narrow, wide = (propagate(phases(**{name: one}), NOTHING, 512, shares=False) for one in (given, wider))
    for figure in ("energy", "time"):
        widths = [math.log(high / low) for low, high in (found.interval(0.9, figure) for found in (narrow, wide))]
        assert widths[1] >= widths[0] * (1 - 0.02)  # 512 points place a quantile within some percent of the spread


def test_ports_that_devices_share_slow_what_crosses_the_network():
    # Half of the ports double the time of what crosses the network, so a range of ports widens time where it had next to no width.
    cluster = exactly(load_cluster("dgx-a100"))
    shared = cluster.model_copy(update={"ports_per_device": Quantity(1.0, "1", 1 / 16, 2.0)})
    exposed = {"overlap_data": Quantity(0.0)}
    assert propagate(exact_phases(cluster=cluster, **exposed), NOTHING).interval(0.9, "time")[1] < 1.002  # what the network's link has
    found = propagate(exact_phases(cluster=shared, **exposed), NOTHING)
    fewer = sum(map(seconds, exact_phases(cluster=cluster.model_copy(update={"ports_per_device": Quantity(1 / 16)}), **exposed)))
    stated = sum(map(seconds, exact_phases(cluster=cluster, **exposed)))
    assert fewer / stated > 1.1
    assert math.isclose(found.interval(0.9, "time")[1], fewer / stated, rel_tol=ONE_PERCENT)
    assert found.shares["time"]["cluster.ports_per_device"] > 0.9


def test_the_product_of_single_responses_follows_the_run_with_all_numbers_changed_at_once():
    run = phases("megatron-2021")
    origin, known = origin_of(run), of_run(origin_of(run))
    sampler = Sampler(origin.quantities(), 64, tuple(known))
    ones = {"energy": np.ones(64), "time": np.ones(64)}
    found, spread = shaped(ones, known, sampler), {"energy": [], "time": []}
    for index in range(64):
        site = origin.site
        for path in known:
            site = site.replaced(path, float(sampler[path][index]))
        anew = run_phases(GPT2, RUN, site)
        for figure, measure in (("energy", joules), ("time", seconds)):
            spread[figure].append(sum(map(measure, anew)) / sum(map(measure, run)))
    for figure, truth in spread.items():
        error, width = np.log(found[figure] / truth), np.log(truth)
        assert error.std() < 0.15 * width.std()


def test_an_end_at_which_the_run_makes_no_progress_is_drawn_in():
    # 64 devices that fail every 6400 s each fail every 100 s together, less than a restart of 600 s takes
    never = Quantity(180e6, "s", 6400, 400e6)
    with pytest.raises(Infeasible):
        phases(failure_interval=Quantity(6400, "s"))
    found = propagate(phases(failure_interval=never), NOTHING, 512, shares=False)
    assert all(math.isfinite(bound) for bound in found.interval(0.9, "energy"))


def test_practice_and_cluster_stand_among_the_sources_and_in_the_sensitivity():
    found = estimate("gpt2", "A100", RUN, parallel=Parallel(data=64), practice="megatron")
    sources = {one["name"]: one for one in found.sources()}
    stated = load_practice("megatron").kernel_share
    assert (sources["practice.kernel_share"]["low"], sources["practice.kernel_share"]["high"]) == (stated.low, stated.high)
    assert {"cluster.ports_per_device", "practice.restart"} <= set(sources)
    shares = {row["name"]: row["share"] for row in found.sensitivity("time")}
    assert shares["practice.straggler_spread"] > 0
    assert "practice.usable_memory" not in shares  # it says only what fits
