"""Rows of single queries: names lead to families and sizes, tasks to heads, versions to stacks."""

import pytest

from estimator.run.stack import load_stack
from estimator.validation.evaluate import predict
from estimator.validation.queries import asked, families, family_of, kernels_of, query
from estimator.validation.rows import NotPredicted, Row, RowFault

SIZES = {
    "text": {"bert-base-uncased": "Bert", "bert-large-cased": "Bert", "xlm-roberta-base": "XLMRoberta", "distilroberta-base": "DistilBert",
             "cardiffnlp/twitter-roberta-base-sentiment": "Roberta", "albert-base-v2": "Albert", "google/electra-small": "Electra"},
    "image": {"google/vit-base-patch16-224": "ViT", "facebook/deit-tiny-patch16-224": "ViT", "microsoft/resnet-152": "ResNet",
              "microsoft/swin-tiny-patch4-window7-224": "Swin", "facebook/convnext-base-224": "ConvNext"},
    "generate": {"facebook/opt-350m": "OPT", "bigscience/bloomz-560m": "Bloom", "google/flan-t5-xl": "T5", "microsoft/phi-2": "Phi",
                 "HuggingFaceTB/SmolLM2-135M-Instruct": "Llama", "EleutherAI/gpt-neo-1.3B": "GPTNeo"},
}  # fmt: skip


@pytest.mark.parametrize(("kind", "name", "family"), [(kind, *item) for kind, names in SIZES.items() for item in names.items()])
def test_a_name_leads_to_its_family(kind, name, family):
    assert family_of(name, kind)["family"] == family


def test_sizes_of_one_family_are_told_apart():
    widths = [
        family_of(f"facebook/opt-{size}", "generate").get("config", {}).get("hidden_size") for size in ("125m", "350m", "1.3b", "6.7b")
    ]
    assert widths == [None, 1024, 2048, 4096]
    assert family_of("acme/mystery", "text") is None


def test_tasks_ask_for_kinds_of_models():
    names = ("fill-mask", "image classification", "text_generation", "text-to-image")
    assert [asked(task) for task in names] == ["complete", "image", "generate", "picture"]
    with pytest.raises(NotPredicted, match="the task 'protein folding' has no model here"):
        asked("protein folding")


transformers = pytest.importorskip("transformers")


@pytest.mark.parametrize("table", [table for kind in ("text", "image", "generate") for table in families()[kind]], ids=lambda t: t["match"])
def test_every_family_has_a_configuration_that_knows_its_values(table):
    known = getattr(transformers, f"{table['family']}Config")
    assert known(**table.get("config", {})) is not None


def row(**columns):
    usual = {"row_id": "x", "kind": "inference_batch1", "hardware": "NVIDIA A100-SXM4-80GB", "unit": "query", "task": "fill-mask",
             "model_id": "distilbert-base-uncased", "precision": "fp32", "energy_j_per_unit": "1", "time_s_per_unit": "0.01"}  # fmt: skip
    return Row("made.csv", 2, usual | columns)


def test_a_small_model_waits_for_the_host():
    # every launch is due `launch_interval` after the one before, whatever the device does in between
    done = query(row())
    launches = sum(entry.launches for entry in done.phases[0].entries)
    stack = load_stack("pipeline")
    assert launches > 50
    assert done.time == pytest.approx(launches * stack.launch_interval + stack.step_overhead, rel=0.1, abs=0)
    assert predict(row()).energy == done.energy


def test_older_libraries_are_slower():
    assert query(row(notes="transformers 4.30.2, torch 2.0.1")).time > 1.5 * query(row()).time


def test_pictures_are_made_ready_by_the_host():
    seconds = [query(row(task="image classification", model_id=f"microsoft/resnet-{depth}")).time for depth in (18, 50)]
    assert load_stack("pipeline").picture_input < seconds[0] < seconds[1]


def test_the_number_behind_a_vision_model_is_the_side_of_its_pictures():
    small, large = (kernels_of(f"google/vit-base-patch16-{side}", "image", "fp32", 1, 1, 1)[0][1] for side in (224, 384))
    patches = [next(k for k in kernels if k.kind == "attention").signatures[0]["query"].shape[-2] for kernels in (small, large)]
    assert patches == [14**2 + 1, 24**2 + 1]


def test_generation_has_a_prompt_and_a_step_for_each_further_token():
    steps = kernels_of("facebook/opt-125m", "generate", "fp16", 1, 20, 5)
    assert [(name, count) for name, _, count in steps] == [("prefill", 1.0), ("decode", 4.0)]
    assert [name for name, _, _ in kernels_of("google/flan-t5-small", "generate", "fp16", 1, 20, 1)] == ["prefill"]


def test_pictures_and_bundled_models_are_asked_as_well():
    made = query(row(task="text-to-image", model_id="segmind/tiny-sd"))
    assert {"encode", "denoise", "decode"} <= {phase.name for phase in made.phases}
    answered = query(row(task="text generation", model_id="openai-community/gpt2", input_len="20", output_len="3"))
    assert {"prefill", "decode"} <= {phase.name for phase in answered.phases}


def test_what_cannot_be_built_is_skipped_with_a_reason():
    with pytest.raises(NotPredicted, match="no bundled architecture of this model"):
        query(row(model_id="acme/mystery"))
    with pytest.raises(RowFault, match="expected fp32, fp16 or bf16"):
        query(row(precision="int3"))
