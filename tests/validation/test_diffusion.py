"""Rows of diffusion pipelines: what is read from them, and what stands in for what they leave out."""

import pytest

from estimator.validation.diffusion import generation, libraries_of, pipeline_of
from estimator.validation.evaluate import predict
from estimator.validation.rows import NotPredicted, Row


def row(**columns):
    usual = {"row_id": "x", "kind": "diffusion", "hardware": "NVIDIA A100-SXM4-40GB", "unit": "image", "model_id": "segmind/tiny-sd",
             "precision": "fp16", "energy_j_per_unit": "100", "time_s_per_unit": "1"}  # fmt: skip
    return Row("made.csv", 2, usual | columns)


def test_a_row_is_predicted_from_its_own_settings():
    one, four = generation(row(steps="10", batch_size="1")), generation(row(steps="10", batch_size="4"))
    assert one.units == 1 and four.units == 4 and four.energy < one.energy
    assert generation(row(steps="20")).energy > 1.5 * one.energy
    assert predict(row(steps="10", batch_size="1")).energy == one.energy


def test_devices_come_from_the_degrees():
    done = generation(row(model_id="pixart-sigma", precision="bfloat16", n_gpus="8", ulysses_degree="4", ring_degree="2", steps="2"))
    assert done.devices == 8
    with pytest.raises(NotPredicted, match="ulysses_degree and ring_degree do not make 8 devices"):
        generation(row(n_gpus="8"))


def test_the_format_is_that_of_the_row():
    assert pipeline_of(row(precision="fp32 (TF32 off)")).format == "fp32"
    assert pipeline_of(row(precision="")).format == "fp16"


def test_old_libraries_are_known_by_their_versions():
    assert libraries_of(row(notes="diffusers 0.29.2, eager")) == "pipeline-2023"
    assert libraries_of(row(notes="xDiT 0.4.5 eager")) == "pipeline"


def test_a_model_that_is_no_pipeline_is_skipped_with_a_reason():
    with pytest.raises(NotPredicted, match="gpt2 is no diffusion pipeline"):
        generation(row(model_id="gpt2"))
