"""Any configuration or model of the transformers library becomes an architecture on demand, or says why it cannot."""

import pytest
import torch

from estimator.errors import InvalidSetting, LiftError, TraceError

transformers = pytest.importorskip("transformers")
from estimator.model.build import architecture_from_config  # noqa: E402
from estimator.model.build.attention import cache, cached  # noqa: E402

STEPS = {
    "causal-lm": {"prefill", "decode", "training"}, "encoder": {"forward", "training"},
    "vision": {"forward", "training"}, "encoder-decoder": {"encode", "decode", "training"},
}  # fmt: skip


def tiny(name, **values):
    small = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 60, "intermediate_size": 48}
    return getattr(transformers, name)(**small | values)


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        (tiny("Qwen3Config", num_key_value_heads=2, head_dim=8), "causal-lm"),
        (tiny("FalconConfig"), "causal-lm"),  # looks its attention up in a table of its own
        (tiny("RobertaConfig", pad_token_id=1), "encoder"),  # could be asked to generate, too
        (tiny("RobertaConfig", pad_token_id=1, is_decoder=True), "causal-lm"),
        (transformers.ConvNextConfig(hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1]), "vision"),
        (
            transformers.WhisperConfig(
                d_model=32, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2
            ),
            "encoder-decoder",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_any_configuration_of_the_library_is_built_on_demand(config, kind):
    before = config.to_json_string()
    architecture = architecture_from_config(config)
    assert architecture.kind == kind
    assert set(architecture.programs) == STEPS[kind]
    assert config.to_json_string() == before
    assert architecture_from_config(config) is architecture  # remembered


def test_of_a_multimodal_configuration_the_language_part_is_traced_and_said_so():
    text = tiny("Gemma3TextConfig", head_dim=8)
    whole = architecture_from_config(transformers.Gemma3Config(text_config=text.to_dict()))
    assert whole.decisions[0] == "Of Gemma3Config the language part alone is traced."
    assert whole.parameters == architecture_from_config(text).parameters


def test_a_model_keeps_its_class_and_number_format():
    model = transformers.Qwen3ForCausalLM(tiny("Qwen3Config", num_key_value_heads=2, head_dim=8)).half()
    architecture = architecture_from_config(model, "mine")
    assert (architecture.name, architecture.format, architecture.kind) == ("mine", "fp16", "causal-lm")
    assert architecture.parameters == sum(parameter.numel() for parameter in model.parameters())


def test_a_model_with_a_loop_over_time_is_refused_with_advice():
    config = transformers.MambaConfig(hidden_size=16, num_hidden_layers=1, vocab_size=20)
    with pytest.raises(LiftError, match=r"in 'backbone.layers.0.mixer.*depends on the sizes.*trace it at each size that you need"):
        architecture_from_config(config)


def test_what_is_no_configuration_is_refused():
    with pytest.raises(InvalidSetting, match="expected a configuration or a model of the transformers library"):
        architecture_from_config({"hidden_size": 8})
    with pytest.raises(InvalidSetting, match="ClapConfig belongs to none of .*AutoModelForCausalLM.*; trace the module itself"):
        architecture_from_config(transformers.ClapConfig())


def test_a_configuration_that_makes_no_model_says_so():
    with pytest.raises(TraceError, match="Qwen3ForCausalLM cannot be built from the given Qwen3Config: KeyError: 'no such function'"):
        architecture_from_config(tiny("Qwen3Config", hidden_act="no such function"))


def test_a_state_between_tokens_is_not_passed_off_as_cached_tokens():
    config = transformers.MambaConfig(hidden_size=16, num_hidden_layers=1, vocab_size=20)
    with pytest.raises(TraceError, match="a MambaConfig keeps states between tokens, which hold no past here"):
        cache(config, past=3)


def test_caches_are_handed_over_under_the_name_that_the_forward_takes():
    class Before(torch.nn.Module):
        def forward(self, input_ids, past_key_values=None, use_cache=None): ...

    class After(torch.nn.Module):
        def forward(self, input_ids, cache=None, use_cache=None): ...

    assert cached(Before(), None) == {"past_key_values": None, "use_cache": True}
    assert cached(After(), None) == {"cache": None, "use_cache": True}
