"""What the ranges of servers and facilities make of figures at the meter, and that they leave those of the devices alone."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from estimator import Inference, Serving, Training, estimate
from estimator.errors import UnknownName
from estimator.hardware.catalogue import load_profile
from estimator.hardware.cluster import load_cluster
from estimator.hardware.host import list_hosts, load_host
from estimator.quantity import Quantity
from estimator.report.estimate import Estimate
from estimator.run.facility import FIGURES, Facility
from estimator.run.meter import Meter, meter_of
from estimator.run.uncertainty_meter import Surroundings, at_meter
from estimator.run.uncertainty_propagation import _propagate, propagate, propagate_idle
from estimator.run.uncertainty_samples import Sampled, Sampler, is_ranged
from estimator.validation.metered import Metered
from tests.run.sampled import one_of

RUN = Inference(batch=4, prompt_tokens=64, output_tokens=8)
H100 = load_profile("H100")


@pytest.fixture(scope="module")
def answer():
    return estimate("gpt2", "h100", RUN, facility="average")


def drawn(meter, samples=64, only=None):
    numbers = meter.quantities()
    return Sampler(numbers, samples, tuple(only or (path for path, one in numbers.items() if is_ranged(path, one))))


@given(st.sampled_from(list_hosts()), st.floats(50, 1500), st.integers(0, 31))
@settings(max_examples=20, deadline=None)
def test_many_meters_read_what_each_of_them_reads(name, power, index):
    meter = Meter(load_host(name), Facility(place="hyperscale"), 16, load_cluster("dgx-h100"), exchanging=0.3)
    sampler = drawn(meter, 1024)
    many = meter.read_as(16 * power, 1.0, Sampled(meter.host, "host", sampler), sampler)
    numbers = {path: float(np.ravel(sampler[path])[index if np.size(sampler[path]) > 1 else 0]) for path in meter.quantities()}
    one = meter.read_as(16 * power, 1.0, one_of(meter.host, "host", sampler, index), numbers)
    for figure in FIGURES:
        assert math.isclose(np.broadcast_to(getattr(many, figure), 1024)[index], getattr(one, figure), rel_tol=1e-9)


def test_usage_effectiveness_alone_spreads_the_energy_as_its_range_does():
    # energy is proportional to PUE, so nine in ten of the samples lie between 1.2 / 1.56 and 1.8 / 1.56 of the estimate
    meter = meter_of(H100, 8, Facility(place="average"))
    sampler = drawn(meter, 1024, ["facility.pue"])
    energy = at_meter(Surroundings(meter, {}), {"energy": 5600.0, "time": 1.0}, sampler)["facility.energy"]
    low, high = np.quantile(energy / meter.read(5600.0, 1.0).energy, (0.05, 0.95))
    assert math.isclose(low, 1.2 / 1.56, rel_tol=0.01)
    assert math.isclose(high, 1.8 / 1.56, rel_tol=0.01)


def test_what_no_row_was_read_beyond_keeps_all_of_its_range():
    # no width is left to the energy at the wall, where systems were read: PUE and price spread by themselves
    phases, meter = estimate("gpt2", "h100", RUN).phases, meter_of(H100, 1, Facility(place="average"))
    path = "structural_error.system.energy"
    known = propagate(phases, {}, meter=Surroundings(meter, {path: Quantity(1.0), f"{path}_ranges": Quantity(0.0)}))
    assert known.interval(of="facility.wall") == pytest.approx((1, 1), rel=1e-9, abs=0)
    assert known.interval(of="facility.energy") == pytest.approx((1.2 / 1.56, 1.8 / 1.56), rel=0.02, abs=0)
    assert known.interval(of="facility.cost")[1] > 2.3  # 0.25 / 0.1 of the price alone


@pytest.mark.parametrize("level", [0.5, 0.9])
def test_every_figure_at_the_meter_lies_in_its_interval(answer, level):
    for figure, value in answer.facility.figures().items():
        low, high = answer.interval(level, of=f"facility.{figure}")
        assert low < value < high


@pytest.mark.parametrize(
    "run",
    [RUN, Serving(concurrency=4, prompt_tokens=64, output_tokens=16), Training(batch=2, sequence_tokens=64)],
    ids=lambda run: type(run).__name__,
)
def test_a_facility_leaves_the_interval_of_the_devices_as_it_is(run):
    bare, placed = (estimate("gpt2", "h100", run, facility=facility) for facility in (None, "average"))
    for figure in bare.figures():
        assert placed.interval(of=figure) == bare.interval(of=figure)
    assert placed.interval(of="facility.energy")[0] > bare.interval()[0]


def test_the_sensitivity_at_the_meter_ranks_what_is_around_the_devices(answer):
    *rows, rest = answer.sensitivity(of="facility.energy")
    assert math.isclose(math.fsum(row["share"] for row in [*rows, rest]), 1, rel_tol=1e-9)
    assert rows[0]["name"] == "facility.pue"  # of 1.2 to 1.8, while servers and devices are known closer
    names = {row["name"] for row in rows}
    assert {"host.fans.active", "host.processors.0.feeding", "host.supply.efficiency.50"} & names
    assert not {row["name"] for row in answer.sensitivity() if row["name"].split(".")[0] in ("host", "facility", "grid")}
    assert answer.sensitivity(of="facility.cost")[0]["name"] == "facility.price"


def test_figures_at_the_meter_survive_json(answer):
    again = Estimate.from_json(answer.to_json())
    assert again == answer
    assert again.interval(of="facility.co2e_kg") == answer.interval(of="facility.co2e_kg")
    assert again.sensitivity(of="facility.water_l") == answer.sensitivity(of="facility.water_l")
    assert again.table() == answer.table()


def test_the_report_shows_an_interval_beside_each_figure_at_the_meter(answer):
    line = " ".join(answer.table().split("at the meter")[1].split("uncertain there")[0].split())
    assert line.count("(90 %: ") == len(("energy", "carbon", "water", "cost"))
    assert "facility.pue" in {number["name"] for number in answer.sources()}


def test_a_run_without_a_facility_has_no_figures_at_the_meter():
    with pytest.raises(UnknownName, match=r"facility\.energy"):
        estimate("gpt2", "h100", RUN).interval(of="facility.energy")


def test_the_order_in_which_numbers_are_read_changes_no_interval():
    numbers = dict(list(H100.quantities().items()))
    ranged = [path for path, one in numbers.items() if is_ranged(path, one)][:12]

    def reading(order):
        def figures(sampler, size):
            logs = {path: np.log(sampler[path]) for path in order}
            energy = np.exp(sum(weight * logs[path] for weight, path in enumerate(sorted(order)))) * np.ones(size)
            return {"energy": energy, "time": np.ones(size), "power": energy}

        return figures

    one, other = (_propagate(reading(order), numbers, {}, 256, True) for order in (ranged, ranged[::-1]))
    assert one == other


def test_what_is_around_devices_draws_for_as_long_as_it_took():
    # twice the time at the same work: the servers take twice the joules, the devices less than that
    phases, meter = tuple(estimate("gpt2", "h100", RUN).phases), meter_of(H100, 1, Facility(place="wall"))
    read, alone = (Metered(phases, H100, around=around) for around in (meter, None))
    beside = [read.energy_in(seconds) - alone.energy_in(seconds) for seconds in (1.0, 2.0)]
    assert beside[1] > 1.8 * beside[0]
    assert math.isclose(read.power, read.energy / read.time, rel_tol=1e-9)


def test_a_server_at_rest_is_as_uncertain_as_its_parts():
    meter = Meter(load_host("dgx-h100"), Facility(place="wall"), 8, feeding=False, whole=True)
    alone, server = propagate_idle(H100, {}), propagate_idle(H100, {}, meter=meter)
    processors = propagate_idle(H100, {}, meter=meter, parts=("processors",))
    part = meter.host.processors[0].idle
    assert processors.interval(of="power") == pytest.approx((part.low / part, part.high / part), rel=0.02, abs=0)
    assert set(server.shares["power"]) > set(alone.shares["power"])
