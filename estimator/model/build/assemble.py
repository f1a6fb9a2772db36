"""From a Hugging Face configuration to an `Architecture`: build on meta, trace each step at a few sizes, lift."""

from copy import deepcopy
from dataclasses import replace
from typing import Any, NamedTuple

import torch
import transformers
from transformers.initialization import no_init_weights

from estimator.errors import InvalidSetting, LiftError
from estimator.model.architecture import Architecture
from estimator.model.build import attention, zoo
from estimator.model.build.served import served
from estimator.model.build.steps import Step, steps_of
from estimator.model.fusion import kernels
from estimator.model.lift import Fit, merge
from estimator.model.polynomial import Polynomial
from estimator.model.program import Program
from estimator.model.tracing.formats import FORMAT, number_format
from estimator.model.work import Kernel

FUSIONS = ("eager", "fused")
HEADS = {
    "encoder-decoder": transformers.AutoModelForSeq2SeqLM, "causal-lm": transformers.AutoModelForCausalLM,
    "encoder": transformers.AutoModelForMaskedLM, "vision": transformers.AutoModelForImageClassification,
}  # fmt: skip


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


def architecture_from_config(config: Any, name: str | None = None) -> Architecture:
    """The architecture of a `transformers` configuration, or of a model of that library (its weights are not used).

    A model keeps its class and number format; a configuration gets its language-model or classification head, and bf16 where
    it names no format. Raises `InvalidSetting` for anything else, `TraceError` where a step cannot be traced, `LiftError` where
    its sizes are not polynomial. Remembers what it built.
    """
    model_class, dtype = None, None
    if isinstance(config, transformers.PreTrainedModel):
        model_class, dtype, config = type(config), config.dtype, config.config
    if not isinstance(config, transformers.PreTrainedConfig):
        raise InvalidSetting(f"config={config!r}: expected a configuration or a model of the transformers library")
    kind, config, model_class = _head(config, model_class)
    dtype = dtype or getattr(config, "dtype", None) or torch.bfloat16
    name = name or config.name_or_path or model_class.__name__
    key = (name, model_class, str(dtype), config.to_json_string(use_diff=False))
    if key not in _built:
        _built[key] = build(name, kind, model_class, config, dtype)
    return _built[key]


_built: dict[tuple[Any, ...], Architecture] = {}


def published_config(identifier: str) -> Any:
    """The configuration in a Hugging Face repository or local folder; raises `OSError` where there is none."""
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
        max_positions=next((value for key in POSITIONS if (value := getattr(model.config, key, None))), None),
        saved_bytes=lifted["training"].saved_bytes,
        decisions=tuple(dict.fromkeys(decision for step in lifted.values() for decision in step.decisions)),
    )


POSITIONS = ("max_position_embeddings", "max_target_positions", "n_positions")


def on_meta(model_class: Any, config: Any, dtype: torch.dtype) -> torch.nn.Module:
    """The module without weights: nothing is allocated."""
    config = deepcopy(config)  # the caller's stays as it is
    config._experts_implementation = None  # the library's default: one grouped product for all experts
    default = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device("meta"), no_init_weights():
            model = _construct(model_class, config)
    finally:
        torch.set_default_dtype(default)
    model.tie_weights()  # without initial weights the library leaves heads untied
    return model


def _construct(model_class: Any, config: Any) -> torch.nn.Module:
    config._attn_implementation = attention.IMPLEMENTATION
    try:
        return model_class(config)
    except KeyError:  # an older model that looks its attention up in a table of its own
        config._attn_implementation = "sdpa"
        return model_class(config)


class Lifted(NamedTuple):
    """One step for any size, the memory that it saves (training: for backward), and what was decided on the way."""

    program: Program
    saved_bytes: Polynomial
    decisions: tuple[str, ...]


def lift_step(model: torch.nn.Module, name: str, step: Step) -> Lifted:
    """Trace a step at its sample sizes and lift it; sizes that are squared somewhere take a few more samples."""
    with served(model, name) as replaced:
        samples = Samples(model, step)
        try:
            programs, saved = samples.lifted(degree=1, memory=name == "training")
        except LiftError:
            programs, saved = samples.lifted(degree=2, memory=name == "training")
    return Lifted(Program(step.symbols, programs), saved, (*sorted(replaced), *samples.decisions))


class Samples:
    """Traces of one step, each made once."""

    def __init__(self, model: torch.nn.Module, step: Step) -> None:
        self.model, self.step = model, step
        self.decisions: dict[str, None] = {}
        self._kernels: dict[tuple[int, ...], dict[str, tuple[Kernel, ...]]] = {}
        self._saved: dict[tuple[int, ...], int] = {}

    def lifted(self, degree: int, memory: bool) -> tuple[dict[str, tuple[Kernel, ...]], Polynomial]:
        """The kernels by fusion and, if asked for, the peak of saved bytes, for any size; raises `LiftError`."""
        points, held_out = self.step.points(degree), self.step.held_out
        keys = [self._trace(sizes) for sizes in (*points, *held_out)]
        saved = Fit(points, held_out)(*(self._saved[key] for key in keys)) if memory else 0
        samples = {fusion: [self._kernels[key][fusion] for key in keys] for fusion in FUSIONS}
        return {fusion: merge([*points, *held_out], kernels, len(points)) for fusion, kernels in samples.items()}, Polynomial.constant(0) + saved

    def _trace(self, sizes: dict[str, int]) -> tuple[int, ...]:
        key = tuple(sizes.values())
        if key not in self._kernels:
            trace = self.step.run(self.model, **sizes)
            self._kernels[key] = {fusion: kernels(trace, fusion) for fusion in FUSIONS}
            self._saved[key] = int(trace.saved_bytes)
            self.decisions |= dict.fromkeys(trace.decisions)
        return key


def kv_windows(decode: Program) -> dict[int | None, int]:
    """Bytes that one token adds to the caches of one sequence, by the window of the attention that reads them (None: no limit)."""
    windows: dict[int | None, int] = {}
    attended = {k.module: k.signatures[0].get("window") for k in decode.kernels["eager"] if k.signatures[0].op == "est.attention"}
    for kernel in decode.kernels["eager"]:
        signature = kernel.signatures[0]
        if signature.op == "est.kv_append":
            size = Polynomial.constant(0) + signature["new"].bytes * kernel.launches
            window = attended.get(kernel.module)
            windows[window] = windows.get(window, 0) + size(batch=1)
    return windows


def idle_parameters(model: torch.nn.Module) -> int:
    """Weights of the routed experts that one token does not visit."""
    idle = 0
    for module in model.modules():
        experts = getattr(module, "num_experts", None)
        if experts and type(module).__name__.endswith("Experts"):
            chosen = next(value for key in ("num_experts_per_tok", "top_k") if (value := getattr(model.config, key, None)))
            idle += sum(parameter.numel() * (experts - chosen) // experts for parameter in module.parameters(recurse=False))
    return idle


def _head(config: Any, model_class: Any) -> tuple[str, Any, Any]:
    """Kind of the model, its (text) configuration, and the class to build."""
    candidates = [config] if model_class else [config, config.get_text_config(decoder=True)]
    for candidate in candidates:
        for kind, auto in HEADS.items():
            known = auto._model_mapping.get(type(candidate), None)
            if known is not None and (kind == "encoder-decoder") == bool(getattr(candidate, "is_encoder_decoder", False)):
                return kind, candidate, model_class or known
    names = ", ".join(auto.__name__ for auto in HEADS.values())
    raise InvalidSetting(f"{type(config).__name__} belongs to none of {names}; trace the module itself with `trace(model, *inputs)`")
