"""Architectures are plain data, found by name, and say what they need."""

import json
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator import Inference, Parallel, estimate, quantize
from estimator.errors import UnknownName
from estimator.model import architecture
from estimator.model.architecture import Architecture, list_models, load_architecture
from estimator.model.polynomial import symbols
from estimator.model.program import Program
from estimator.model.saved import Part
from estimator.model.work import Kernel, Signature, TensorSpec

batch, sequence = symbols("batch sequence")


def made(**changes):
    tokens = TensorSpec((batch, sequence), "int64")
    weight, out = TensorSpec((7, 4), "bf16"), TensorSpec((batch, sequence, 4), "bf16")
    lookup = Signature("aten.embedding", (("weight", weight), ("indices", tokens)), (out,))
    kernel = Kernel("embedding", "gather", "forward", "embed", (lookup,), format="bf16", layers=(0, 2, 3))
    fields = {
        "name": "tiny", "kind": "causal-lm", "source": "made up here", "status": "assumed", "format": "bf16",
        "parameters": 28, "active_parameters": 28, "parameter_bytes": 56, "kv_bytes_per_token": 96, "kv_windows": ((8, 64),),
        "programs": {"prefill": Program(("batch", "sequence"), {"eager": (kernel,), "fused": ()})},
        "saved": {"eager": {Part("layers", light=True): 4 * batch * sequence + 8}}, "aliases": ("wee",), "decisions": ("nothing to it",),
    }  # fmt: skip
    return Architecture(**fields | changes)


def test_an_architecture_survives_json():
    assert Architecture.from_json(made().to_json()) == made()
    assert Architecture.from_json(made(saved={}).to_json()).saved == {}


def test_a_stored_architecture_is_strict_json_with_one_record_a_line():
    text = made().to_json()
    json.loads(text, parse_constant=pytest.fail)
    assert '\n["embedding","gather","forward","embed",[0],null,null,"bf16",1,[[0,0],[2,3]]]\n' in text


def test_an_architecture_is_frozen():
    with pytest.raises(FrozenInstanceError):
        made().name = "other"


@given(st.integers(0, 10**6))
def test_windowed_layers_stop_growing_at_their_window(tokens):
    # 96 bytes for each token, 64 of them in layers that keep 8 tokens: 32 T + 64 min(T, 8)
    assert made().kv_bytes(tokens) == 32 * tokens + 64 * min(tokens, 8)


def test_the_cache_of_an_array_of_lengths_is_an_array():
    np.testing.assert_array_equal(made().kv_bytes(np.array([1, 8, 100])), [96, 768, 3712])


def test_names_and_aliases_lead_to_the_same_architecture_whatever_their_case():
    assert load_architecture("Meta-Llama/LLAMA-3.1-8B-instruct") is load_architecture("llama-3.1-8b")
    assert "llama-3.1-8b" in list_models()


@pytest.mark.parametrize(
    ("name", "held_in"), [("Qwen/Qwen3-VL-235B-A22B-Instruct-FP8", "fp8"), ("gpt-oss-20b", "mxfp4"), ("qwen3-8b", None)]
)
def test_a_name_that_states_a_format_costs_the_same_by_either_road(name, held_in):
    run, eight = Inference(prompt_tokens=64, output_tokens=4), Parallel(tensor=8)
    model = load_architecture(name)
    assert model.held_in == held_in
    assert estimate(model, "H100", run, parallel=eight).energy == estimate(name, "H100", run, parallel=eight).energy
    assert Architecture.from_json(model.to_json()).held_in == held_in


def test_weights_that_are_asked_for_replace_those_of_the_name():
    model = load_architecture("acme/Llama-3.1-8B-FP8")
    light = quantize(model, "int4")
    assert light.held_in is None and light.parameter_bytes < 0.4 * model.parameter_bytes
    run = Inference(prompt_tokens=64, output_tokens=4)
    assert estimate(light, "H100", run).energy == estimate("llama-3.1-8b", "H100", run, weights="int4").energy


def test_an_unknown_name_lists_its_nearest():
    with pytest.raises(UnknownName, match=r"unknown model 'llama-3.1-9b'. Nearest: .*llama-3.1-8b.* Hugging Face identifier"):
        load_architecture("llama-3.1-9b")


def test_a_name_without_bundle_or_transformers_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "estimator.model.build", None)
    with pytest.raises(UnknownName, match=r"unknown model 'acme/gpt2-xxl'.*Nearest: .*gpt2.*pip install transformers"):
        load_architecture("acme/gpt2-xxl")


def test_a_name_that_transformers_does_not_know_either_says_so(monkeypatch):
    build = pytest.importorskip("estimator.model.build")

    def no_such_repository(identifier):
        raise OSError(f"{identifier} is not a local folder and is not a valid model identifier\nlisted elsewhere")

    monkeypatch.setattr(build, "published_config", no_such_repository)
    with pytest.raises(UnknownName, match="AutoConfig was asked for its configuration and has none: acme/nothing is not a local folder"):
        load_architecture("acme/nothing")


def test_a_name_that_is_nowhere_is_asked_for_once(monkeypatch):
    assemble, asked = pytest.importorskip("estimator.model.build.assemble"), []

    def unreachable(url, timeout):
        asked.append(url)
        raise RuntimeError("no route")

    monkeypatch.setattr(assemble.huggingface_hub, "get_hf_file_metadata", unreachable)
    with pytest.raises(UnknownName, match="has none: no route"):
        load_architecture("acme/nothing-at-all")
    assert len(asked) == 1 and asked[0].endswith("acme/nothing-at-all/resolve/main/config.json")


def test_a_published_configuration_is_built_on_demand(tmp_path, monkeypatch):
    transformers = pytest.importorskip("transformers")
    transformers.GPT2Config(n_layer=2, n_embd=32, n_head=2, vocab_size=50).save_pretrained(tmp_path)
    built = load_architecture(str(tmp_path))
    assert (built.kind, built.status) == ("causal-lm", "datasheet")
    # token and position embeddings, two layers of 12 d^2 + 13 d, last norm
    assert built.parameters == 50 * 32 + 1024 * 32 + 2 * (12 * 32**2 + 13 * 32) + 2 * 32
    assert load_architecture(str(tmp_path)) is built


def test_no_entry_of_the_index_leads_nowhere():
    for name in list_models():
        assert (architecture.BUNDLED / f"{name}.json").is_file()
