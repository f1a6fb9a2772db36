"""The front door: everything that may be asked, and every way in which it may be asked wrongly."""

import math

import pytest
import torch

from estimator import Inference, Serving, Training, compare, estimate, sweep, trace
from estimator.errors import EstimatorError, InvalidSetting, MissingInputs, ProfileError, TraceError, UnknownName
from estimator.hardware.catalogue import load_profile


def perceptron(device="meta"):
    with torch.device(device):
        return torch.nn.Sequential(torch.nn.Linear(256, 512), torch.nn.ReLU(), torch.nn.Linear(512, 10))


def test_a_language_model_by_name_has_prefill_and_decode():
    answer = estimate("llama-3.1-8b", hw="H100", run=Inference(batch=8, prompt_tokens=512, output_tokens=64))
    assert [row["name"] for row in answer.rows("phase") if row["name"] != "host"] == ["prefill", "decode"]
    assert answer.tokens == 8 * 64
    assert "H100 SXM" in answer.hardware


def test_the_kv_cache_grows_with_every_token():
    # bytes read per decode step rise linearly with the context, so 3 × the tokens read more than 3 × the bytes
    short, long = (estimate("llama-3.1-8b", "H100", Inference(batch=64, prompt_tokens=16, output_tokens=n)) for n in (1001, 3001))
    traffic = [next(r["memory_bytes"] for r in e.rows("phase") if r["name"] == "decode") for e in (short, long)]
    assert traffic[1] > 3.5 * traffic[0]


@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_any_module_trains_with_forward_backward_and_optimizer(device):
    net = perceptron(device)
    answer = estimate(net, hw="V100", inputs=torch.empty(64, 256, device=device), run=Training(steps=10))
    phases = {row["name"] for row in answer.rows("phase")}
    assert {"forward", "backward", "optimizer"} <= phases
    # forward 2·64·(256·512 + 512·10); backward: both gradients of the last layer, the weight gradient alone of the first
    first, last = 2 * 64 * 256 * 512, 2 * 64 * 512 * 10
    assert answer.matmul_flop == pytest.approx(10 * (first + last + 2 * last + first), rel=1e-12, abs=0)


def test_a_fake_module_is_estimated_like_a_meta_one():
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        fake, batch = perceptron("cpu"), torch.empty(64, 256)
    answers = [estimate(net, "A100", inputs=x) for net, x in ((fake, batch), (perceptron(), torch.empty(64, 256, device="meta")))]
    assert math.isclose(answers[0].energy, answers[1].energy, rel_tol=1e-12)


def test_a_trace_and_its_module_give_the_same_answer():
    net, batch = perceptron(), torch.empty(8, 256, device="meta")
    assert math.isclose(estimate(trace(net, batch), "A40").energy, estimate(net, "A40", inputs=batch).energy, rel_tol=1e-12)


def test_a_torch_optimizer_instance_is_traced_for_real():
    net = perceptron()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    answer = estimate(net, "V100", inputs=torch.empty(8, 256, device="meta"), run=Training(optimizer=optimizer))
    assert any(row["name"] == "optimizer" and row["energy"] > 0 for row in answer.rows("phase"))


def test_a_hugging_face_configuration_is_built_on_meta_and_estimated():
    from transformers import LlamaConfig

    config = LlamaConfig(hidden_size=256, intermediate_size=512, num_hidden_layers=2, num_attention_heads=4, vocab_size=1000)
    answer = estimate(config, hw="H100", run=Inference(prompt_tokens=32, output_tokens=8))
    # embedding and head 1000·256 each; a layer 4·256² + 3·256·512 + 2·256; a final norm of 256
    assert answer.parameters == 2 * 1000 * 256 + 2 * (4 * 256**2 + 3 * 256 * 512 + 2 * 256) + 256


def test_hugging_face_models_with_inputs_are_traced_as_modules():
    from transformers import GPT2Config, GPT2LMHeadModel, ResNetConfig, ResNetForImageClassification

    with torch.device("meta"):
        gpt2 = GPT2LMHeadModel(GPT2Config(n_layer=2))
        resnet = ResNetForImageClassification(ResNetConfig())
        tokens, images = torch.zeros(1, 16, dtype=torch.long), torch.empty(2, 3, 224, 224)
    assert estimate(gpt2, hw="A100", inputs={"input_ids": tokens}).energy > 0
    answer = estimate(resnet, hw="A100", inputs=(images,))
    assert answer.matmul_flop == pytest.approx(2 * 8_178_368_512, rel=1e-3, abs=0)  # published 4.089 GMAC an image; heads differ


def test_compare_answers_in_the_order_asked():
    answers = compare("gpt2", ["A100", "H100"], Inference(prompt_tokens=16, output_tokens=2))
    assert [answer.hardware for answer in answers] == [load_profile("A100").name, load_profile("H100").name]


def test_sweep_gives_a_row_for_each_point_of_the_grid():
    rows = sweep("gpt2", ["A100", "H100"], batch=[1, 2], prompt_tokens=16, output_tokens=2)
    assert [(row["hw"], row["batch"]) for row in rows] == [(load_profile(hw).name, b) for hw in ("A100", "H100") for b in (1, 2)]
    assert all(row["energy"] == row["estimate"].energy for row in rows)


def test_an_unknown_model_or_hardware_lists_the_nearest():
    with pytest.raises(UnknownName, match=r"unknown model 'llama-3.1-9b'. Nearest: .*llama-3.1-8b"):
        estimate("llama-3.1-9b")
    with pytest.raises(UnknownName, match=r"unknown hardware 'H1000'. Nearest: .*H100"):
        estimate("gpt2", hw="H1000")
    with pytest.raises(UnknownName, match=r"unknown software stack 'servin'. Nearest: serving"):
        estimate("gpt2", stack="servin")


def test_a_module_without_inputs_is_told_to_bring_them():
    with pytest.raises(MissingInputs, match=r"Sequential needs example inputs.*inputs=\(torch.empty"):
        estimate(perceptron(), hw="A100")


def test_what_is_no_model_is_refused_with_what_would_be_one():
    with pytest.raises(InvalidSetting, match="expected an architecture name, a torch.nn.Module"):
        estimate(42)
    with pytest.raises(InvalidSetting, match=r"expected Inference\(…\), Serving\(…\), Training\(…\) or Diffusion\(…\)"):
        estimate("gpt2", run="inference")
    with pytest.raises(InvalidSetting, match="expected a list of hardware"):
        compare("gpt2", "H100")


def test_a_model_that_does_not_fit_is_warned_about_with_the_shortfall():
    answer = estimate("llama-3.1-70b", hw="H100", run=Inference(prompt_tokens=16, output_tokens=2))
    # 70.55 billion parameters of 2 bytes are 141 GB, the device has 80 GB
    warning = next(text for text in answer.assumptions if text.startswith("WARNING: does not fit"))
    assert "needs 141 GB" in warning
    assert "too little" in warning


def test_a_number_format_that_the_chip_lacks_is_an_assumption():
    answer = estimate("llama-3.1-8b", hw="V100", run=Inference(prompt_tokens=16, output_tokens=2))
    assert any(text.startswith("bf16 products (attention, matmul) run as fp16 on the tensor units") for text in answer.assumptions)


def test_sizes_that_the_inputs_already_set_are_said_to_be_unused():
    answer = estimate(perceptron(), "A100", inputs=torch.empty(8, 256, device="meta"), run=Inference(batch=32))
    assert any("batch of the run is not used" in text for text in answer.assumptions)


def test_unknown_operations_are_listed_and_still_cost_something():
    class Odd(torch.nn.Module):
        def forward(self, x):
            return torch.special.bessel_j0(x)

    answer = estimate(Odd(), "A100", inputs=torch.empty(1024, device="meta"))
    assert answer.coverage == {"aten.special_bessel_j0": 1}
    assert answer.energy > 0
    said = " ".join(str(answer).split())
    assert "operations without a rule, counted as one vector FLOP per output element: aten.special_bessel_j0 ×1" in said


def test_a_profile_may_be_a_mapping_or_a_file(tmp_path):
    mine = {"inherits": "h100-sxm", "name": "half of it", "memory": {"bandwidth": "1.6 TB/s"}}
    path = tmp_path / "half.toml"
    path.write_text('inherits = "h100-sxm"\nname = "half of it"\n[memory]\nbandwidth = "1.6 TB/s"\n')
    run = Inference(prompt_tokens=16, output_tokens=2)
    answers = [estimate("gpt2", hw, run) for hw in (mine, path, str(path))]
    assert {answer.energy for answer in answers} == {answers[0].energy}
    assert answers[0].hardware == "half of it"
    with pytest.raises(ProfileError, match=r"memory.bandwith: unknown key"):
        estimate("gpt2", {"inherits": "h100-sxm", "memory": {"bandwith": "1 TB/s"}})


def test_all_errors_share_one_base():
    for given in ({"model": "nope"}, {"model": 42}, {"model": "gpt2", "hw": "nope"}):
        with pytest.raises(EstimatorError):
            estimate(**given)


def _linear(*wanted, **how):
    return trace(torch.nn.Linear(8, 8), torch.empty(2, 8), *wanted, **how)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"devices": 8}, "devices=8: only Training of an architecture takes it, not Inference"),
        ({"cluster": "dgx-h100"}, "cluster='dgx-h100': only Training"),
        ({"parallel": 8}, "parallel=8: expected Parallel"),
        ({"inputs": 3}, "inputs are for a torch.nn.Module"),
        ({"run": Training(checkpoint_every=10)}, "checkpoint_every=10: the disks"),
        ({"run": Training(), "cluster": 3}, "cluster=3: expected a name or a Cluster"),
        ({"run": Training(), "practice": 3}, "practice=3: expected a name or a Practice"),
        ({"run": Serving(draft="bert-base")}, "bert-base is of the kind 'encoder': Serving is for language models"),
        ({"run": Training(optimizer=torch.optim.SGD([torch.zeros(1)]))}, r"optimizer=SGD\(…\) is for a module"),
        ({"hw": 3}, "hw=3: expected a name, a path"),
    ],
)
def test_what_a_named_model_cannot_follow_is_refused(settings, said):
    with pytest.raises(InvalidSetting, match=said):
        estimate("gpt2", **{"hw": "H100"} | settings)


@pytest.mark.parametrize("settings", [{"stack": 3}, {"weights": 8}, {"facility": 3}])
def test_a_name_of_another_type_is_an_unknown_name(settings):
    with pytest.raises(UnknownName, match="unknown .* [38]"):
        estimate("gpt2", hw="H100", **settings)


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"precision": "fp16"}, "precision='fp16'"), ({"recompute": "full"}, "recompute="), ({"global_batch": 64}, "global_batch=64"),
     ({"trainable": "lora"}, "trainable='lora'"), ({"checkpoint_every": 5}, "checkpoint_every=5")],
)  # fmt: skip
def test_settings_that_a_traced_step_cannot_follow_are_refused(settings, said):
    with pytest.raises(InvalidSetting, match=f"{said}.*as its step was traced"):
        estimate(torch.nn.Linear(8, 8), inputs=torch.empty(2, 8), hw="H100", run=Training(**settings))


def test_a_trace_answers_only_for_the_passes_that_it_has():
    with pytest.raises(InvalidSetting, match="traced forward alone; for Training"):
        estimate(_linear(), "H100", Training())
    with pytest.raises(InvalidSetting, match="traced with its backward pass"):
        estimate(_linear(backward=True), "H100")


def test_epochs_of_a_module_say_how_many_samples_a_step_takes():
    # 2 epochs × 100 samples ÷ 8 in a step = 25 steps
    run = Training(epochs=2, samples=100, batch=8)
    answer = estimate(torch.nn.Linear(8, 8), inputs=torch.empty(8, 8), hw="H100", run=run)
    assert answer.steps == 25
    assert any("25 steps, taking the given inputs for 8 samples" in note for note in answer.assumptions)
    assert not any("batch of the run is not used" in note for note in answer.assumptions)


def test_a_stored_trace_is_estimated_from_its_file(tmp_path):
    path = tmp_path / "linear.json"
    path.write_text(_linear().to_json())
    assert estimate(str(path), "H100").energy == estimate(path, "H100").energy == estimate(_linear(), "H100").energy
    with pytest.raises(InvalidSetting, match="No such file"):
        estimate(tmp_path / "none.json", "H100")
    path.write_text("{}")
    with pytest.raises(TraceError, match="not a stored trace"):
        estimate(path, "H100")


def test_sweep_also_takes_settings_of_estimate_and_names_what_it_does_not_know():
    rows = sweep("gpt2", "H100", weights=["int8", "int4"], output_tokens=2)
    assert [row["weights"] for row in rows] == ["int8", "int4"]
    assert rows[0]["energy"] != rows[1]["energy"]
    with pytest.raises(UnknownName, match="unknown setting 'batsh'. Nearest: batch"):
        sweep("gpt2", "H100", batsh=[1])
    with pytest.raises(InvalidSetting, match="sweep takes the kind of run itself"):
        sweep("gpt2", "H100", Inference(), batch=[1])
