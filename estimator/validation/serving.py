"""Suites "serving" and "inference": bundled architectures that generate tokens or answer single queries, on one device."""

import json
from functools import cache

from estimator.model.architecture import BUNDLED, INDEX, Architecture, load_architecture
from estimator.run.inference import decode_segments
from estimator.run.phase import host_gaps, price
from estimator.run.plan import plan
from estimator.run.settings import Inference
from estimator.run.stack import load_stack
from estimator.validation.hardware import profile_of
from estimator.validation.prediction import Prediction
from estimator.validation.rows import NotPredicted, Row
from estimator.validation.workloads import workloads

WIDE = {"bf16": ("bf16", "bfloat16", "fp16", "float16"), "fp16": ("bf16", "bfloat16", "fp16", "float16"), "fp32": ("fp32", "float32")}


@cache
def _bundled() -> dict[str, str]:
    return json.loads((BUNDLED / INDEX).read_text(encoding="utf-8"))


def architecture_of(row: Row) -> Architecture:
    """The bundled architecture of the row's model; raises `NotPredicted` where there is none or it is of another width."""
    text = row.text("model_id").lower()
    name = _bundled().get(workloads()["model"].get(text, text))
    if name is None:
        raise NotPredicted("no bundled architecture of this model")
    model = load_architecture(name)
    written = row.text("precision").lower()
    if written and not written.startswith(WIDE[model.format]):
        raise NotPredicted(f"{model.name} is bundled in {model.format}; the row ran in {row.text('precision')!r}")
    return model


def on_one_device(row: Row) -> None:
    """Raises `NotPredicted` for a row that ran on several devices."""
    devices = row.whole("n_gpus", 1)
    if devices > 1:
        raise NotPredicted(f"{devices} devices: parallel runs are not predicted yet")


def generation(row: Row) -> Prediction:
    """Tokens in the steady state of a serving engine: `batch_size` sequences in flight, per output token."""
    on_one_device(row)
    model, profile = architecture_of(row), profile_of(row)
    prompt = row.whole("input_len")
    cached = max(0, prompt - row.whole("input_len_uncached_est", prompt))
    run = Inference(
        batch=row.whole("batch_size"), prompt_tokens=prompt, cached_tokens=min(cached, prompt - 1), output_tokens=row.whole("output_len")
    )
    done = plan(model, run, profile, load_stack("serving"))
    return Prediction(tuple(done.phases), profile, float(done.tokens))


def query(row: Row) -> Prediction:
    """One query at a time in eager mode: a forward pass, or a prompt and its output tokens."""
    on_one_device(row)
    model, profile = architecture_of(row), profile_of(row)
    if model.kind != "vision" and not row.text("input_len"):
        raise NotPredicted("the length of the text is not stated")
    length = {"prompt_tokens": row.whole("input_len")} if model.kind != "vision" else {}
    if "decode" in model.programs:
        length["output_tokens"] = row.whole("output_len")
    done = plan(model, Inference(batch=row.whole("batch_size", 1), **length), profile, load_stack("eager"))
    return Prediction(tuple(done.phases), profile, float(row.whole("batch_size", 1)))


def without_cache(row: Row) -> Prediction:
    """Generation that recomputes the whole sequence for every output token."""
    on_one_device(row)
    model, profile, stack = architecture_of(row), profile_of(row), load_stack("eager")
    batch, prompt, steps = row.whole("batch_size", 1), row.whole("input_len"), row.whole("output_len")
    phases = [
        price("prefill", model.programs["prefill"].at(stack.fusion, batch=batch, sequence=length), profile, stack, steps=count)
        for count, length in decode_segments(prompt, steps + 1)
    ]
    return Prediction((*phases, host_gaps(profile, stack, steps=steps)), profile, float(batch))
