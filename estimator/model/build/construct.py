"""Modules without weights: which class a configuration stands for, and its construction on the meta device."""

from copy import deepcopy
from typing import Any

import torch
import transformers

from estimator.errors import InvalidSetting, TraceError
from estimator.model.build import attention
from estimator.model.build.uneven import fit_layers
from estimator.model.tracing.notices import notices_pass

try:
    from transformers.initialization import no_init_weights
except ImportError:  # before version 5
    from transformers.modeling_utils import no_init_weights  # type: ignore[attr-defined, no-redef]

# in the order in which they are asked: what could also be run as a decoder is an encoder unless its configuration says decoder
HEADS = (
    ("encoder-decoder", transformers.AutoModelForSeq2SeqLM),
    ("encoder-decoder", transformers.AutoModelForSpeechSeq2Seq),
    ("encoder", transformers.AutoModelForMaskedLM),
    ("causal-lm", transformers.AutoModelForCausalLM),
    ("vision", transformers.AutoModelForImageClassification),
)


def head_of(config: Any, model_class: Any) -> tuple[str, Any, Any]:
    """Kind of the model, the configuration of its language part if it has one, and the class to build.

    Raises `InvalidSetting` for a kind without steps.
    """
    whole = model_class is not None or getattr(config, "is_encoder_decoder", False)
    for candidate in [config] if whole else [config.get_text_config(decoder=True), config]:
        for kind, auto in HEADS:
            known = auto._model_mapping.get(type(candidate), None)
            if known is not None and _suits(kind, candidate):
                return kind, candidate, model_class or (known[0] if isinstance(known, tuple) else known)
    names = ", ".join(auto.__name__ for _, auto in HEADS)
    raise InvalidSetting(f"{type(config).__name__} belongs to none of {names}; trace the module itself with `trace(model, *inputs)`")


def _suits(kind: str, config: Any) -> bool:
    if getattr(config, "is_encoder_decoder", False):
        return kind == "encoder-decoder"
    return kind != "encoder-decoder" and not (kind == "encoder" and getattr(config, "is_decoder", False))


def on_meta(model_class: Any, config: Any, dtype: torch.dtype) -> Any:
    """The module without weights: nothing is allocated."""
    config = deepcopy(config)  # the caller's stays as it is
    config._experts_implementation = None  # the library's default: one grouped product for all experts
    default = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device("meta"), notices_pass(), no_init_weights():
            model = _construct(model_class, config)
            fit_layers(model)
    finally:
        torch.set_default_dtype(default)
    model.tie_weights()  # without initial weights the library leaves heads untied
    return model


def _construct(model_class: Any, config: Any) -> Any:
    """An older model knows the library's own ways to attend only, some of them just the plainest."""
    for config._attn_implementation in (attention.IMPLEMENTATION, "sdpa", "eager"):
        try:
            return model_class(config)
        except Exception as error:
            reason = error
    what = f"{model_class.__name__} cannot be built from the given {type(config).__name__}: {type(reason).__name__}: {reason}"
    raise TraceError(f"{what.rstrip('.')}. Complete the configuration, or trace a module of your own.") from reason


def idle_parameters(model: Any) -> int:
    """Weights of the routed experts that one token does not visit."""
    idle = 0
    for module in model.modules():
        experts = getattr(module, "num_experts", None)
        if experts and type(module).__name__.endswith("Experts"):
            chosen = next(value for key in ("num_experts_per_tok", "top_k") if (value := getattr(model.config, key, None)))
            idle += sum(parameter.numel() * (experts - chosen) // experts for parameter in module.parameters(recurse=False))
    return idle
