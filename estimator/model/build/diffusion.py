"""From a diffusion pipeline's configuration to an `Architecture`: text encoders, denoiser and decoder on meta, traced and lifted."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
import transformers

from estimator.errors import MissingDependency
from estimator.model.architecture import Architecture
from estimator.model.build.construct import on_meta
from estimator.model.build.decoding import decoding
from estimator.model.build.denoisers import CALLS, Latents, made_for
from estimator.model.build.pipelines import Pipeline, pipeline
from estimator.model.build.steps import tokens
from estimator.model.build.tally import Kernels, lifted, lifted_in_chunks
from estimator.model.fusion import kernels
from estimator.model.program import Program
from estimator.model.tracing import trace
from estimator.model.tracing.formats import FORMAT

FUSIONS = ("eager", "fused")
# exact: any sizes do; two fix a straight line and a third checks it. Numbers with little in common, so that dimensions stay apart
BATCH, BATCH_CHECK = (3, 5), 7  # exact: see above
SIDES = {"height": (7, 11, 13), "width": (9, 17, 10)}  # exact: in multiples of the smallest side; the last is the check
STRETCH = (5, 6, 7)  # exact: likewise, of frames; enough for chunks between those that the first and the last one touch
LOOPS = ("AutoencoderKLWan", "AutoencoderKLCogVideoX")  # of videos; one image is one chunk


def diffusion_architecture(name: str) -> Architecture:
    """Build a bundled diffusion pipeline afresh from its tables in `configs/diffusion`; raises `UnknownName`, `LiftError`."""
    plan = pipeline(name)
    dtype = _dtype(plan.table["format"])
    denoiser = _built(plan.table["denoiser"]["class"], plan.config, dtype)
    decoder_format = plan.table.get("decoder_format", plan.table["format"])
    decoder = _built(plan.decoder["class"], plan.decoder.get("config", {}), _dtype(decoder_format))
    encoders = [(part, _encoder(table, dtype), tokens) for part, table, tokens in plan.encoders]
    programs = {"encode": _encode(encoders)} if encoders else {}
    programs |= {"denoise": _denoise(plan, denoiser, dtype), "decode": _decode(plan, decoder, _dtype(decoder_format))}
    modules = [denoiser, *(encoder for _, encoder, _ in encoders), decoder]
    weights = [parameter for module in modules for parameter in _used(module)]
    return Architecture(
        name=name,
        kind="diffusion",
        source=plan.table["source"],
        status=plan.table["status"],
        format=plan.table["format"],
        parameters=sum(weight.numel() for weight in weights),
        active_parameters=sum(weight.numel() for weight in denoiser.parameters()),
        parameter_bytes=sum(weight.numel() * weight.element_size() for weight in weights),
        programs=programs,
        aliases=tuple(plan.table.get("aliases", ())),
        decisions=_decisions(plan),
        defaults=dict(plan.defaults),
    )


def _decisions(plan: Pipeline) -> tuple[str, ...]:
    read = " and ".join(f"{tokens} tokens ({part})" for part, _, tokens in plan.encoders)
    notes = [f"Prompts are padded to {read}, as the pipeline does."] if read else []
    return (*notes, f"Latents are decoded by {plan.decoder['class']} in {plan.table.get('decoder_format', plan.table['format'])}.")


def _dtype(number_format: str) -> torch.dtype:
    return next(dtype for dtype, form in FORMAT.items() if form == number_format)


def _built(class_name: str, config: Mapping[str, Any], dtype: torch.dtype) -> Any:
    """A module of the diffusers library without weights."""
    try:
        import diffusers
    except ImportError as error:
        raise MissingDependency("building a diffusion model needs diffusers, which is not installed: pip install diffusers") from error
    with torch.device("meta"):
        return getattr(diffusers, class_name)(**config).to(dtype).eval()


def _encoder(table: Mapping[str, Any], dtype: torch.dtype) -> Any:
    model_class = getattr(transformers, table["class"])
    return on_meta(model_class, model_class.config_class(**table.get("config", {})), dtype).eval()


def _used(module: Any) -> list[torch.nn.Parameter]:
    """The weights that inference loads: of a decoder's module, not those of its encoder half."""
    return [weight for name, weight in module.named_parameters() if not (hasattr(module, "decoder") and name.startswith("encoder."))]


def _program(symbols: tuple[str, ...], made: Callable[[str], Kernels]) -> Program:
    return Program(symbols, {fusion: made(fusion) for fusion in FUSIONS})


def _encode(encoders: list[tuple[str, Any, int]]) -> Program:
    def at(encoder: Any, length: int, fusion: str, batch: int) -> Kernels:
        return kernels(_once(encoder, (batch, length), lambda: trace(encoder, input_ids=tokens(batch, length), training=False)), fusion)

    def made(fusion: str) -> Kernels:
        parts = (lifted(partial(at, encoder, n, fusion), {"batch": BATCH}, {"batch": BATCH_CHECK}, part) for part, encoder, n in encoders)
        return tuple(kernel for part in parts for kernel in part)

    return _program(("batch",), made)


def _samples(plan: Pipeline) -> tuple[dict[str, tuple[int, ...]], dict[str, int]]:
    """Sizes to trace at and one to check, in pixels and frames."""
    side = plan.defaults["multiple"]
    sides = {name: tuple(side * value for value in values) for name, values in SIDES.items()}
    sizes = {"batch": (*BATCH, BATCH_CHECK), **sides}
    if plan.is_video:
        step = plan.defaults["frames_multiple"]
        sizes["frames"] = tuple(step * value + 1 if step else value for value in STRETCH)
    return {name: values[:-1] for name, values in sizes.items()}, {name: values[-1] for name, values in sizes.items()}


def _latents(plan: Pipeline, dtype: torch.dtype, batch: int, height: int, width: int, frames: int = 1) -> Latents:
    space, time = plan.decoder["space"], plan.decoder.get("time", 1)
    kept = (frames - 1) // time + 1
    return Latents(batch, plan.decoder["channels"], kept, height // space, width // space, plan.text_tokens, dtype)


def _denoise(plan: Pipeline, denoiser: Any, dtype: torch.dtype) -> Program:
    call = CALLS[type(denoiser).__name__]

    def at(fusion: str, **sizes: int) -> Kernels:
        latents = _latents(plan, dtype, **sizes)
        made_for(denoiser, latents)
        made = _once(
            denoiser, tuple(sizes.values()), lambda: trace(denoiser, **call(denoiser.config, latents), return_dict=False, training=False)
        )
        return kernels(made, fusion)

    samples, check = _samples(plan)
    return _program(tuple(samples), lambda fusion: lifted(partial(at, fusion), samples, check, "denoiser"))


def _decode(plan: Pipeline, decoder: Any, dtype: torch.dtype) -> Program:
    module = decoding(decoder)

    def at(fusion: str, **sizes: int) -> Kernels:
        latents = _latents(plan, dtype, **sizes)
        given = module.latents(latents)
        return kernels(_once(module, tuple(sizes.values()), lambda: trace(module, *given, training=False)), fusion)

    samples, check = _samples(plan)
    if (
        plan.is_video and type(decoder).__name__ in LOOPS
    ):  # what a compiler would fuse across chunks depends on their number; it is left as it is
        chunks = lifted_in_chunks(partial(at, "eager"), samples, check, "decoder", "frames")
        return Program(tuple(samples), dict.fromkeys(FUSIONS, chunks))
    return _program(tuple(samples), lambda fusion: lifted(partial(at, fusion), samples, check, "decoder"))


def _once(module: Any, sizes: tuple[int, ...], made: Callable[[], Any]) -> Any:
    """The trace of a module at one size, made once for all fusions."""
    traces = module.__dict__.setdefault("_estimator_traces", {})
    if sizes not in traces:
        traces[sizes] = made()
    return traces[sizes]
