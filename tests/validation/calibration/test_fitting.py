"""The fit finds constants that made the rows, moves nothing that the rows do not depend on, and never leaves a range."""

import math
from dataclasses import replace

import numpy as np
import pytest

from estimator.errors import EstimatorError, InvalidSetting
from estimator.hardware.catalogue import find_profile, load_profile
from estimator.hardware.homes import homes, lineage
from estimator.validation.calibration import calibrate
from estimator.validation.calibration.constants import within
from estimator.validation.calibration.fitting import fit
from estimator.validation.calibration.observation import phase_figures
from estimator.validation.calibration.observing import observe
from estimator.validation.calibration.problem import correlation_within, weights
from estimator.validation.evaluate import predict, result
from estimator.validation.hardware import use
from estimator.validation.rows import Row

SHAPES = [(8192, 8192, 8192), (64, 8192, 8192), (4096, 256, 16384), (16384, 4096, 512), (16, 51200, 16384), (2048, 2048, 2048)]


def gemm(m, n, k, hardware="NVIDIA H200", limit=700, **columns):
    given = {
        "row_id": f"{m}-{n}-{k}-{limit}", "kind": "microbench", "task": "gemm", "precision": "bfloat16", "hardware": hardware,
        "m": m, "n": n, "k": k, "power_limit_w": limit, "unit": "kernel call", "trust": "A", "split": "dev",
    }  # fmt: skip
    return {name: str(value) for name, value in (given | columns).items()}


def rest(hardware="NVIDIA H200"):
    return {"row_id": "rest", "kind": "microbench", "task": "idle", "op": "idle", "hardware": hardware, "unit": "second", "trust": "A"}


def measured(profile, rows):
    """Rows as they would be measured on `profile`."""
    use(profile)
    try:
        found = []
        for line, columns in enumerate(rows):
            row = Row("made.csv", line, columns | {"energy_j_per_unit": "1", "time_s_per_unit": "1" if columns["unit"] != "second" else ""})
            prediction = predict(row)
            known = {"energy_j_per_unit": repr(prediction.energy)} | ({"time_s_per_unit": repr(prediction.time)} if prediction.time else {})
            found.append(Row("made.csv", line, row.columns | known))
        return found
    finally:
        use()


def with_values(profile, **sections):
    return profile.model_copy(update={name: getattr(profile, name).model_copy(update=values) for name, values in sections.items()})


@pytest.fixture(scope="module")
def recovered():
    """An H200 whose clock tree is 1.3 and whose bf16 products need 0.95 times what the files say."""
    profile = load_profile("h200-sxm")
    tree, tensor = profile.clock.tree_capacitance * 1.3, profile.achievable.tensor * 0.95
    true = with_values(profile, clock={"tree_capacitance": tree}, achievable={"tensor": tensor})
    rows = [*(gemm(*shape, limit=limit) for shape in SHAPES for limit in (700, 400)), rest()]
    return calibrate(measured(true, rows)), profile


def test_rows_that_are_wrong_independently_find_the_constants_that_made_them(recovered):
    alone = [
        replace(one, observation=replace(one.observation, group=one.observation.row_id), constants=tuple(of(one, "tree_cap", "tensor")))
        for one in recovered[0].observed
    ]
    fitted = {one.constant.path: one for one in fit(alone).fitted}
    tree, tensor = fitted["clock.tree_capacitance"], fitted["achievable.tensor"]
    assert math.isclose(tree.value, recovered[1].clock.tree_capacitance * 1.3, rel_tol=0.05)
    assert math.isclose(tensor.value, recovered[1].achievable.tensor * 0.95, rel_tol=0.02)
    assert tree.spread < 0.4  # thirteen rows, each as uncertain as laboratories differ


def of(one, *words):
    return (constant for constant in one.constants if any(word in constant.path and "bits" not in constant.path for word in words))


def test_rows_of_one_group_move_the_constants_the_right_way_but_less_sure(recovered):
    fitted = {one.constant.path: one for one in recovered[0].fitted}
    assert fitted["clock.tree_capacitance"].moved > 0.05
    assert fitted["achievable.tensor"].moved < -0.1
    assert 0.5 < fitted["clock.tree_capacitance"].spread < 0.95


def test_after_the_fit_the_rows_are_predicted_better(recovered):
    found, _ = recovered
    values = {one.constant.key: one.value for one in found.fitted}

    def off(values):
        return np.mean([abs(float(error[0])) for one in found.observed for error in one.observation.errors(values).values()])

    assert off(values) < off({}) / 2


def test_what_rows_do_not_depend_on_stays_and_keeps_its_spread(recovered):
    found, _ = recovered
    untouched = [one for one in found.fitted if one.constant.path in ("step_overhead", "sequence_overhead", "clock.gated_share")]
    assert untouched
    for one in untouched:
        assert abs(one.moved) < 0.02
        assert one.spread > 0.95


def test_no_constant_leaves_its_range_and_none_belongs_to_a_device(recovered):
    found, _ = recovered
    for one in found.fitted:
        assert one.constant.prior.low * (1 - 1e-9) <= one.value <= one.constant.prior.high * (1 + 1e-9)
        assert one.constant.home.parent.name in ("family", "memory", "node", "stack")


def test_rows_that_agree_move_nothing():
    found = calibrate(measured(load_profile("h200-sxm"), [gemm(*shape) for shape in SHAPES]))
    assert max(abs(one.moved) for one in found.fitted) < 0.01


def test_the_array_road_predicts_a_row_as_its_prediction_does():
    row = measured(load_profile("h200-sxm"), [gemm(*SHAPES[0])])[0]
    (one,) = observe([row])
    beside = result(row, predict(row))
    errors = one.observation.errors({})
    assert set(errors) == {"time", "energy_given_time"}
    for metric, error in errors.items():
        assert math.isclose(math.exp(float(error[0])), 1 + beside.error(metric), rel_tol=1e-6)
    # and with another constant, as a profile with that constant does
    profile = load_profile("h200-sxm")
    more = profile.memory.energy_per_bit * 1.2
    use(with_values(profile, memory={"energy_per_bit": more}))
    try:
        expected = result(row, predict(row)).error("energy_given_time")
    finally:
        use()
    moved = one.observation.errors({"hardware.memory.energy_per_bit": more})["energy_given_time"]
    assert math.isclose(math.exp(float(moved[0])), 1 + expected, rel_tol=1e-3)


def test_rows_without_a_prediction_are_no_ground_for_a_fit():
    with pytest.raises(InvalidSetting, match="none of 1 rows can be used on volta: give rows that"):
        calibrate([Row("a.csv", 2, gemm(*SHAPES[0]))], ["volta"])


def test_a_number_stands_where_the_merge_takes_it_from():
    found = homes(find_profile("h200-sxm"))
    assert found["clock.tree_capacitance"].name == "sm-5nm.toml"
    assert found["clock.voltage_at_boost"].name == "hopper.toml"
    assert found["memory.energy_per_bit"].name == "hbm3.toml"
    assert found["achievable.memory"].name == "h200-sxm.toml"
    assert {path.stem for path in lineage(find_profile("h200-sxm"))} >= {"hopper", "hbm3e", "hbm3", "n5"}
    assert within(find_profile("h200-sxm"), ["hopper"])
    assert not within(find_profile("b200-sxm"), ["hopper"])


def test_a_group_of_rows_that_are_wrong_together_counts_little_more_than_one():
    # ten groups of ten: identical inside, so the correlation is 1 and each row counts a tenth; unrelated inside, each counts 1
    rng = np.random.default_rng(7)
    groups = [str(index // 10) for index in range(100)]
    assert np.allclose(weights(np.repeat(rng.normal(size=10), 10), groups), 0.1, rtol=1e-6, atol=0)
    assert weights(rng.normal(size=100), groups).min() > 0.5


def test_the_intraclass_correlation_by_hand():
    # groups (0, 2) and (4, 6): between = 2 (2² + 2²) / 1 = 16, inside = (1+1+1+1) / 2 = 2, so (16 - 2) / (16 + 2) = 0.78
    member, sizes = np.array([0, 0, 1, 1]), np.array([2, 2])
    assert math.isclose(correlation_within(np.array([0.0, 2, 4, 6]), member, sizes), 14 / 18, rel_tol=1e-9)


def test_a_phase_that_was_priced_with_another_adds_nothing_and_a_bare_one_is_refused():
    prediction = predict(Row("a.csv", 2, gemm(*SHAPES[0], time_s_per_unit=0.01)))
    (phase,) = prediction.phases
    hidden = replace(phase, entries=(), basis=replace(phase.basis, loads=(), demands=(), kinds=()))
    alone, both = (phase_figures(replace(prediction, phases=phases), 0.01) for phases in ((phase,), (phase, hidden)))
    assert alone({}, 1) == both({}, 1)
    with pytest.raises(EstimatorError, match="do not hold what they were priced from"):
        phase_figures(replace(prediction, phases=(replace(phase, basis=None),)), None)
