"""From a Hugging Face configuration to an `Architecture`: build on meta, trace each step at a few sizes, lift."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import huggingface_hub
import torch
import transformers

from estimator.errors import InvalidSetting
from estimator.model.architecture import Architecture
from estimator.model.build import zoo
from estimator.model.build.construct import head_of, idle_parameters, on_meta
from estimator.model.build.recurrent import state_bytes
from estimator.model.build.sampling import lift_step
from estimator.model.build.steps import steps_of
from estimator.model.build.tower import tower
from estimator.model.fusion import unfold
from estimator.model.polynomial import Polynomial
from estimator.model.program import Program
from estimator.model.tracing.formats import FORMAT, number_format

CONFIG: Any = getattr(transformers, "PreTrainedConfig", None) or transformers.PretrainedConfig  # the name before version 5
PATIENCE = 5  # exact: seconds that an answer over the network may take
POSITIONS = ("max_position_embeddings", "max_target_positions", "n_positions")


def bundled_architecture(name: str) -> Architecture:
    """Build a bundled model afresh from its table in `configs/`; raises `UnknownName`."""
    entry = zoo.entry(name)
    model_class = getattr(transformers, entry["model"])
    dtype = next(dtype for dtype, form in FORMAT.items() if form == entry["format"])
    built = build(name, entry["kind"], model_class, model_class.config_class(**entry["config"]), dtype)
    return replace(
        built,
        source=entry["source"],
        status=entry["status"],
        aliases=tuple(entry.get("aliases", ())),
        decisions=(*entry.get("decisions", ()), *built.decisions),
        max_positions=entry.get("max_positions", built.max_positions),
    )


def bundled_variant(name: str) -> dict[str, Any] | None:
    """What is a bundled model's own where all its sizes are another one's, its vision tower included; else None."""
    own, entry = zoo.variant(name), zoo.entry(name)
    if own is None or "tower" not in entry:
        return own
    dtype = next(dtype for dtype, form in FORMAT.items() if form == entry["format"])
    return own | {"vision": tower(entry["tower"], entry["config"]["hidden_size"], dtype).to_json()}


def architecture_from_config(config: Any, name: str | None = None) -> Architecture:
    """The architecture of a `transformers` configuration, or of a model of that library (its weights are not used).

    A model keeps its class and number format; a configuration gets its language-model or classification head, and bf16 where
    it names no format. Raises `InvalidSetting` for anything else, `TraceError` where a step cannot be traced, `LiftError` where
    its sizes are not polynomial. Remembers what it built.
    """
    model_class, dtype = None, None
    if isinstance(config, transformers.PreTrainedModel):
        model_class, dtype, config = type(config), config.dtype, config.config
    if not isinstance(config, CONFIG):
        raise InvalidSetting(f"config={config!r}: expected a configuration or a model of the transformers library")
    given = config
    kind, config, model_class = head_of(given, model_class)
    dtype = dtype or getattr(config, "dtype", None) or torch.bfloat16
    name = name or config.name_or_path or model_class.__name__
    key = (name, model_class, str(dtype), config.to_json_string(use_diff=False))
    if key not in _built:
        built = build(name, kind, model_class, config, dtype)
        left_out = () if config is given else (f"Of {type(given).__name__} the language part alone is traced.",)
        _built[key] = replace(built, decisions=(*left_out, *built.decisions))
    return _built[key]


_built: dict[tuple[Any, ...], Architecture] = {}


def published_config(identifier: str) -> Any:
    """The configuration in a local folder, the library's cache or a Hugging Face repository; raises `OSError` where there is none.

    The repository is first asked once whether it has one: the library itself asks six times, for half a minute.
    """
    try:
        return transformers.AutoConfig.from_pretrained(identifier, local_files_only=True)
    except (OSError, ValueError):
        if Path(identifier).is_dir():
            raise
    try:
        huggingface_hub.get_hf_file_metadata(huggingface_hub.hf_hub_url(identifier, "config.json"), timeout=PATIENCE)
    except Exception as error:  # the library's own, that of a refused name, or whichever its transport raises
        raise OSError(str(error) or type(error).__name__) from None
    return transformers.AutoConfig.from_pretrained(identifier)


def build(name: str, kind: str, model_class: Any, config: Any, dtype: torch.dtype) -> Architecture:
    """Trace and lift all steps of a model; its source is the configuration itself."""
    model = on_meta(model_class, config, dtype)
    lifted = {name: lift_step(model, name, step) for name, step in steps_of(kind, model.config).items()}
    windows = kv_windows(lifted["decode"].program) if "decode" in lifted else {}
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return Architecture(
        name=name,
        kind=kind,
        source=f"{type(config).__name__} as given",
        status="datasheet",
        format=number_format(dtype),
        parameters=parameters,
        active_parameters=parameters - idle_parameters(model),
        parameter_bytes=sum(parameter.numel() * parameter.element_size() for parameter in model.parameters()),
        programs={name: step.program for name, step in lifted.items()},
        kv_bytes_per_token=sum(windows.values()),
        kv_windows=tuple((window, size) for window, size in windows.items() if window is not None),
        state_bytes=state_bytes(model),
        max_positions=next((value for key in POSITIONS if (value := getattr(model.config, key, None))), None),
        saved=lifted["training"].saved,
        decisions=tuple(dict.fromkeys(decision for step in lifted.values() for decision in step.decisions)),
    )


def kv_windows(decode: Program) -> dict[int | None, int]:
    """Bytes that one token adds to the caches of one sequence, by the window of the attention that reads them (None: no limit)."""
    launches = list(unfold(decode.kernels["eager"]))
    window_of = {k.module: k.signatures[0].get("window") for k in launches if k.signatures[0].op == "est.attention"}
    windows: dict[int | None, int] = {}
    for kernel in launches:
        signature = kernel.signatures[0]
        if signature.op == "est.kv_append":
            size = Polynomial.constant(0) + signature["new"].bytes * kernel.count
            window = window_of.get(kernel.module)
            windows[window] = windows.get(window, 0) + size(batch=1)
    return windows
