"""Served rows whose prompts show pictures or videos, as stated or as their task has them."""

import pytest

from estimator.validation.evaluate import evaluate
from estimator.validation.rows import NotPredicted, Row
from estimator.validation.serving import generation

CHAT = {
    "row_id": "p", "kind": "llm_serving", "task": "image-chat", "model_id": "Qwen/Qwen3-VL-8B-Instruct", "precision": "bfloat16",
    "hardware": "NVIDIA H100", "n_gpus": "1", "batch_size": "32", "input_len": "80", "output_len": "400", "img_h": "768", "img_w": "1024",
    "unit": "output_token", "energy_j_per_unit": "0.2", "time_s_per_unit": "0.0005", "trust": "A", "split": "dev",
}  # fmt: skip
VIDEO = {"task": "video-chat", "img_h": "480", "img_w": "640", "frames": "32"}


def row(**columns):
    return Row("f.csv", 2, CHAT | {name: str(value) for name, value in columns.items()})


def test_larger_pictures_and_longer_videos_cost_more():
    text = row(task="lm-arena-chat", img_h="", img_w="")
    rows = [text, row(), row(img_h=1536), row(**VIDEO), row(**VIDEO | {"frames": "64"})]
    costs = [generation(one).energy for one in rows]
    assert costs == sorted(costs) and len(set(costs)) == len(costs)


@pytest.mark.parametrize(
    "model",
    [
        "Qwen/Qwen3-VL-32B-Instruct",
        "Qwen/Qwen3-VL-30B-A3B-Instruct",
        "Qwen/Qwen3-Omni-30B-A3B-Instruct",
        "nvidia/NVIDIA-Nemotron-Nano-12B-v2-VL-BF16",
    ],
)
@pytest.mark.parametrize("kind", ["llm_serving", "multimodal_serving"])
def test_a_row_that_states_all_counts_and_one_that_does_not_is_reported_apart(model, kind):
    stated = row(model_id=model, kind=kind, n_gpus=2)
    unsaid = row(model_id=model, kind=kind, n_gpus=2, img_h="", img_w="", input_len="", task="video-chat")
    done = evaluate([stated, unsaid])
    assert not done.skipped and not done.faults
    assert [result.why_not for result in done.results] == ["", "assumed: img_h, img_w, frames, input_len"]
    assert done.results[1].predicted_energy > 0


def test_a_packed_model_looks_with_a_tower_that_is_not():
    names = {"model_id": "Qwen/Qwen3-VL-235B-A22B-Instruct", "n_gpus": 8}
    wide, light = (
        generation(row(**names | {"model_id": names["model_id"] + end, "precision": form}))
        for end, form in (("", "bfloat16"), ("-FP8", "fp8"))
    )
    looks = [
        sum(e.time for phase in one.phases for e in phase.entries if e.module.startswith("visual")) / one.units for one in (wide, light)
    ]
    assert looks[0] > 0 and looks[1] == pytest.approx(looks[0], rel=0.1, abs=0)


def test_what_is_not_stated_and_cannot_be_assumed_is_not_predicted():
    with pytest.raises(NotPredicted, match="prompts of sound"):
        generation(row(kind="multimodal_serving", task="audio-chat", img_h="", img_w=""))
    with pytest.raises(NotPredicted, match="gemma-3-12b is bundled without its vision tower"):
        generation(row(model_id="google/gemma-3-12b-it"))
