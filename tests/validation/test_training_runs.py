"""Published training runs and whole systems: from a row's words to a prediction."""

from dataclasses import replace

import pytest

from estimator.run.practice import list_practices
from estimator.run.transformer import shape_of
from estimator.validation import systems, training_runs
from estimator.validation.rows import NotPredicted, Row
from estimator.validation.training_runs import architecture_for, facts, known_of


def row(file="training_runs", **columns):
    return Row(file, 2, {name: str(value) for name, value in columns.items()})


def test_names_of_papers_lead_to_bundled_architectures():
    names = {"LLaMA-1 33B": "llama-33b", "Pythia 1.4B": "pythia-1.4b", "Llama-3.3 70B": "llama-3.1-70b", "GPT-3 175B": "gpt3-175b"}
    assert {name: architecture_for(name, 1.0)[0].name for name in names} == names


def test_an_unknown_model_is_the_nearest_decoder_scaled_by_its_size():
    model, share = architecture_for("Somebody's 6.5B", 6.5)
    assert 5e9 < model.parameters < 8e9
    assert model.parameters * share == pytest.approx(6.5e9, rel=1e-9, abs=0)


def test_another_mixture_of_experts_stands_for_one_that_is_not_bundled():
    mixture, dense = architecture_for("Somebody's MoE", 2.2, 8.0)[0], architecture_for("Somebody's dense", 2.2, 2.2)[0]
    assert shape_of(mixture).experts > 1 and shape_of(dense).experts <= 1
    assert architecture_for("Somebody's MoE", 2.2, 8.0)[1] * mixture.active_parameters == pytest.approx(2.2e9, rel=1e-9, abs=0)


def test_the_longest_beginning_decides():
    assert known_of("Falcon-180B")["devices"] == 4096
    assert known_of("Falcon-40B")["devices"] == 384
    assert known_of("nobody knows this")["practice"] == "megatron"


def test_a_small_model_on_a_large_cluster_waits_for_its_neighbours():
    columns = {"hardware": "NVIDIA H100-SXM5-80GB", "unit": "run", "accel_hours": 1, "energy_scope": "GPU TDP x GPU-hours", "tokens": 15e12}

    def predicted(devices):
        return training_runs.predict(row(**columns, model_id="Llama-3 8B", params_b=8.03, n_gpus=devices))

    few, many = predicted(2048), predicted(16384)
    # 16 million tokens on 16384 devices are 1024 tokens each: less than a sequence, so that tensor or pipeline ranks have to share one
    assert many.time > 1.5 * few.time
    busy = [sum(entry.time for phase in one.phases if phase.name == "forward" for entry in phase.entries) for one in (few, many)]
    assert busy[1] * 16384 == pytest.approx(busy[0] * 2048, rel=0.15, abs=0)  # the work itself is the same


def test_every_table_names_a_practice_that_is_bundled():
    assert all(known_of(table["match"])["practice"] in list_practices() for table in facts()["run"])


BLOOM = {
    "model_id": "BLOOM-176B",
    "params_b": 176,
    "tokens": 366e9,
    "hardware": "NVIDIA A100-SXM4-80GB",
    "unit": "run",
    "accel_hours": 1082880,
}


def test_hours_of_all_devices_are_compared_where_their_number_is_not_published():
    one = row(**BLOOM, energy_scope="GPU TDP x GPU-hours")
    predicted = training_runs.predict(one)
    # 1,082,880 device hours (Touvron et al. 2023, table 15), within the 30 % that is asked for
    assert predicted.time == pytest.approx(one.time, rel=0.30, abs=0)
    assert predicted.assumptions


def test_a_step_of_llama_405b_uses_the_devices_as_published():
    predicted = training_runs.predict(
        row(model_id="Llama-3.1 405B", params_b=405, tokens=15.6e12, hardware="NVIDIA H100-SXM5-80GB", unit="run", accel_hours=30.84e6)
    )
    # Grattafiori et al. 2024, table 4: MFU 0.41 on 16,384 H100, tensor 8, pipeline 16, data 128
    assert predicted.mfu == pytest.approx(0.41, rel=0.06, abs=0)
    assert predicted.unknown.group == "an input assumed"  # on how many devices batches were small, and how long sequences grew


def test_the_scope_decides_what_stands_around_the_devices():
    scopes = {"GPU only (NVML), no PUE": 1.0, "GPU power measured on one node, x PUE": 1.2}
    found = {scope: training_runs.predict(row(**BLOOM, pue=1.2, energy_scope=scope)).meter for scope in scopes}
    assert found == scopes
    system, devices = (training_runs.predict(row(**BLOOM, pue=1.2, energy_scope=scope)) for scope in ("system power x PUE", "GPU only"))
    assert system.energy > 1.4 * devices.energy


def test_a_node_of_eight_is_read_at_the_wall():
    lora = row(
        "mlperf_training", task="MLPerf Training llama2_70b_lora", hardware="1xSMC-H100-SXM-80GB", n_gpus=8, batch_size=8, unit="run",
        gradient_accumulation_steps=4, processed_samples=3072, power_limit_w=700, energy_scope="node wall power, liquid immersion",
    )  # fmt: skip
    # MLPerf Training v4.0, smc-dc-power: 11.7 MJ in 1686 s
    assert training_runs.predict(lora).energy == pytest.approx(11.72e6, rel=0.20, abs=0)


def test_what_is_not_published_is_not_predicted():
    with pytest.raises(NotPredicted, match="number of tokens"):
        training_runs.predict(row(**(BLOOM | {"tokens": ""})))


def test_a_server_at_rest_draws_less_than_one_that_works():
    rest = systems.host(row(task="idle-ish node wall power", hardware="1xSMC 8xH100 immersion", n_gpus=8, unit="second"))
    # MLPerf power logs: 2.1 kW at the wall between runs
    assert rest.power == pytest.approx(2100, rel=0.20, abs=0)
    processors = systems.host(row(task="CPU packages, serving", hardware="8xH100 node", n_gpus=8, unit="second"))
    # ML.ENERGY v3, RAPL of two packages: 479 to 587 W
    assert 479 < processors.power < 587


@pytest.mark.parametrize(
    ("system", "task", "edition", "limit", "server"),
    [
        ("DGX-A100_A100-SXM-80GBx8_TRT_MaxQ", "bert-99", "v2.0", 300, None),
        ("DGX-A100_A100-SXM-80GBx8_TRT_MaxQ", "bert-99.9", "v2.0", 275, None),
        ("DGX-Station-A100_A100-SXM-80GBx4_TRT_MaxQ", "bert-99.9", "v1.1", 250, "dgx-station-a100"),
        ("XE8545_A100-SXM-80GBx4_TRT", "resnet50", "v1.1", 500, "server-4x-a100"),
        ("R750xa_A100-PCIE-40GBx4_TRT_MaxQ", "bert-99", "v1.1", None, None),
    ],
)
def test_a_submitted_system_has_the_power_limit_that_was_published_and_a_server_like_it(system, task, edition, limit, server):
    one = row("mlperf_inference", source=f"MLPerf Inference {edition}", task=task, hardware=f"NVIDIA A100 ({system})")
    assert systems.submitted(one) == (limit, server)


def test_queries_of_a_server_are_predicted_at_the_wall():
    one = row(task="bert-99", scenario="Offline", hardware="NVIDIA A100-SXM-80GB", n_gpus=8, precision="int8 weights", unit="sample")
    predicted = systems.offline(one)
    assert predicted.power > replace(predicted, around=None).power > 0
    with pytest.raises(NotPredicted, match="no definition"):
        systems.offline(row(task="rnnt", scenario="Offline", hardware="NVIDIA A100-SXM-80GB", n_gpus=8, unit="sample"))
