"""Suites "serving" and "inference": bundled architectures that generate tokens or answer single queries, on one device."""

from functools import cache
from math import ceil

from estimator.model.architecture import Architecture, bundled_name, load_architecture
from estimator.model.published import EXPERTS_ALONE, scheme_of, stored
from estimator.model.transform import SKIP, quantize, route
from estimator.model.transform.recast import recast
from estimator.model.transform.schemes import schemes
from estimator.run.formats import multiplies
from estimator.run.inference import decode_segments
from estimator.run.lengths import Lengths
from estimator.run.parallel import Parallel
from estimator.run.phase import host_gaps, price
from estimator.run.pictures import shown
from estimator.run.plan import plan
from estimator.run.serving import Serving
from estimator.run.serving_step import Steps
from estimator.run.settings import Inference
from estimator.run.stack import Stack, load_stack
from estimator.run.steady import Steady
from estimator.validation.hardware import profile_of
from estimator.validation.pictures import shows
from estimator.validation.prediction import Prediction
from estimator.validation.rows import NotPredicted, Row
from estimator.validation.workloads import workloads

WIDE = {"bf16": ("bf16", "bfloat16", "fp16", "float16"), "fp16": ("fp16", "float16", "bf16", "bfloat16"), "fp32": ("fp32", "float32")}


def bundled_of(row: Row) -> tuple[Architecture, str | None]:
    """The bundled architecture of the row's model, and the weight format that its name states; raises `NotPredicted`."""
    text = row.text("model_id").lower()
    name = workloads()["model"].get(text, text)
    plain, scheme = stored(name)
    if bundled_name(name) is None and bundled_name(plain) is None:
        raise NotPredicted("no bundled architecture of this model")
    return load_architecture(name), scheme


@cache
def _served(name: str, scheme: str | None, native: bool) -> Architecture:
    """The bundled architecture with balanced experts, its weights stored as `scheme` says."""
    model = route(load_architecture(name), "balanced")
    if scheme is None:
        return model
    return quantize(model, scheme, activations=native, skip=(*SKIP, *EXPERTS_ALONE.get(scheme, ())))


def architecture_of(row: Row) -> Architecture:
    """The bundled architecture of the row's model; raises `NotPredicted` where there is none or it is of another width."""
    model, _ = bundled_of(row)
    written = row.text("precision").lower()
    if written and not written.startswith(WIDE[model.format]):
        raise NotPredicted(f"{model.name} is bundled in {model.format}; the row ran in {row.text('precision')!r}")
    return model


def on_one_device(row: Row) -> None:
    """Raises `NotPredicted` for a row that ran on several devices."""
    devices = row.whole("n_gpus", 1)
    if devices > 1:
        raise NotPredicted(f"ran on {devices} devices, and how they shared the work is not stated; rows of one device are predicted")


def generation(row: Row) -> Prediction:
    """Tokens in the steady state of a serving engine: `batch_size` sequences in flight on `n_gpus` devices, per output token."""
    (bundled, named), pictures = bundled_of(row), shows(row)
    if pictures.settings and bundled.vision is None:
        raise NotPredicted(f"{bundled.name} is bundled without its vision tower")
    needed = ("batch_size", "output_len") if pictures.tokens else ("batch_size", "input_len", "output_len")
    unsaid = [column for column in needed if not row.text(column)]
    if unsaid:
        raise NotPredicted(f"the workload is not stated: no {', '.join(unsaid)}")
    profile, scheme = profile_of(row), scheme_of(row.text("precision")) or named
    model = _served(bundled.name, scheme, scheme is None or multiplies(schemes()[scheme].activation, profile))
    parallel, flight, prompt = spread_of(row), row.number("batch_size"), row.number("input_len", pictures.tokens)
    spread = workloads()["spread"].get(row.text("task"), workloads()["spread"]["others"])
    run = Serving(
        concurrency=flight,
        max_num_seqs=max(ceil(flight), Serving.max_num_seqs),
        prompt_tokens=Lengths(prompt, spread["prompt"]),
        output_tokens=Lengths(row.number("output_len"), spread["output"]),
        cached_share=max(0.0, 1 - row.number("input_len_uncached_est", prompt) / prompt),
        **pictures.settings,
    )
    steady = Steady(Steps(model, profile, load_stack(engine_of(row)), parallel), shown(model, run), flight)
    return Prediction(tuple(steady.phases(devices=parallel.devices)), profile, steady.tokens, parallel.devices, apart=pictures.apart)


def spread_of(row: Row) -> Parallel:
    """How the row's devices share the model: `tp`, `pp` and `dp` where they account for all, else tensor-parallel attention.

    Experts are spread over `ep` ranks; vLLM then sums their parts over the tensor-parallel ranks.
    """
    devices, expert = row.whole("n_gpus", 1), row.whole("ep", 1)
    tensor, pipeline, data = (row.whole(name, 1) for name in ("tp", "pp", "dp"))
    if tensor * pipeline * data != devices:
        tensor = max(devices // (pipeline * data), 1)
    if tensor * pipeline * data != devices:
        raise NotPredicted(f"tp, pp and dp do not make {devices} devices")
    return Parallel(tensor=tensor, pipeline=pipeline, data=data, expert=expert if tensor * data % max(expert, 1) == 0 else 1)


def engine_of(row: Row) -> str:
    """The stack of the engine that the row names; today's where it names none."""
    return "vllm-0.5" if "vllm 0.5" in row.text("notes").lower() else "serving"


def bundled_query(row: Row, stack: Stack) -> Prediction:
    """One query at a time to a bundled model: a forward pass, or a prompt and its output tokens."""
    on_one_device(row)
    (model, _), profile = bundled_of(row), profile_of(row)
    written = row.text("precision").lower()
    model = recast(model, next((form for form in WIDE if written.startswith(WIDE[form][0])), model.format))
    if model.kind != "vision" and not row.text("input_len"):
        raise NotPredicted("the length of the text is not stated")
    length = {"prompt_tokens": row.whole("input_len")} if model.kind != "vision" else {}
    if "decode" in model.programs:
        length["output_tokens"] = row.whole("output_len")
    done = plan(model, Inference(batch=row.whole("batch_size", 1), **length), profile, stack)
    return Prediction(tuple(done.phases), profile, float(row.whole("batch_size", 1)))


def without_cache(row: Row) -> Prediction:
    """Generation that recomputes the whole sequence for every output token."""
    on_one_device(row)
    model, profile, stack = architecture_of(row), profile_of(row), load_stack("pipeline")
    batch, prompt, steps = row.whole("batch_size", 1), row.whole("input_len"), row.whole("output_len")
    phases = [
        price("prefill", model.programs["prefill"].at(stack.fusion, batch=batch, sequence=length), profile, stack, steps=count)
        for count, length in decode_segments(prompt, steps + 1)
    ]
    return Prediction((*phases, host_gaps(profile, stack, steps=steps)), profile, float(batch))
