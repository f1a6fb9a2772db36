"""Inference as phases: prefill and decode of a language model with a growing cache, or one forward pass of anything else."""

from collections.abc import Iterator

from estimator.hardware.schema import Profile
from estimator.model.architecture import Architecture
from estimator.run.phase import Phase, price
from estimator.run.settings import Inference
from estimator.run.stack import Stack

SEGMENTS = 8  # exact: decode is cut into this many stretches of equal length, each priced at its mean context


def inference_phases(model: Architecture, run: Inference, profile: Profile, stack: Stack) -> list[Phase]:
    """Phases of `run`: prefill and decode for language models (encoder pass and decode with an encoder), else forward."""
    if model.kind == "causal-lm":
        return [_prefill(model, run, profile, stack), *_decode(model, run, profile, stack, {})]
    if model.kind == "encoder-decoder":
        return _encode_decode(model, run, profile, stack)
    sizes = _sizes(model, "forward", batch=run.batch, sequence=run.prompt_tokens)
    kernels = model.programs["forward"].at(stack.fusion, **sizes)
    return [price("forward", kernels, profile, stack, steps=run.requests, sequences=run.batch)]


def _sizes(model: Architecture, program: str, **given: int) -> dict[str, int]:
    """Those of the given sizes that the program asks for."""
    return {symbol: given[symbol] for symbol in model.programs[program].symbols}


def _prefill(model: Architecture, run: Inference, profile: Profile, stack: Stack) -> Phase:
    computed = run.prompt_tokens - run.cached_tokens
    kernels = model.programs["prefill"].at(stack.fusion, batch=run.batch, sequence=computed)
    return price("prefill", kernels, profile, stack, steps=run.requests, sequences=run.batch)


def _encode_decode(model: Architecture, run: Inference, profile: Profile, stack: Stack) -> list[Phase]:
    sizes = _sizes(model, "encode", batch=run.batch, sequence=run.prompt_tokens)
    kernels = model.programs["encode"].at(stack.fusion, **sizes)
    encode = price("prefill", kernels, profile, stack, steps=run.requests, sequences=run.batch)
    return [encode, *_decode(model, run, profile, stack, {"source": run.prompt_tokens})]


def decode_segments(prompt: int, output: int) -> Iterator[tuple[float, float]]:
    """(steps, mean number of cached tokens) of stretches that together make the decode steps after the first token.

    The prefill yields the first output token; step i of the remaining `output - 1` attends to `prompt + i` cached tokens.
    FLOP and bytes are linear in the context between kinks, so the mean context of a stretch gives its exact sum.
    """
    steps = output - 1
    count = min(SEGMENTS, steps)
    for index in range(count):
        first, last = steps * index // count, steps * (index + 1) // count
        yield last - first, prompt + (first + last - 1) / 2


def _decode(model: Architecture, run: Inference, profile: Profile, stack: Stack, extra: dict[str, int]) -> Iterator[Phase]:
    first = run.prompt_tokens if model.kind == "causal-lm" else 0
    for steps, past in decode_segments(first, run.output_tokens):
        given = {"batch": run.batch, "past": past} | extra
        sizes = {symbol: given[symbol] for symbol in model.programs["decode"].symbols}
        kernels = model.programs["decode"].at(stack.fusion, **sizes)
        yield price("decode", kernels, profile, stack, steps=steps * run.requests, sequences=run.batch)


def inference_assumptions(model: Architecture, run: Inference) -> list[str]:
    """What the run takes for granted."""
    if model.kind != "causal-lm":
        return []
    notes = ["all sequences of the batch start together; logits are computed for the last prompt token only"]
    if run.cached_tokens:
        notes.append(f"{run.cached_tokens} prompt tokens come from a prefix cache; attention of new prompt tokens to them is not counted")
    return notes
