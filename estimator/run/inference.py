"""Inference as phases: prefill and decode of a language model with a growing cache, or one forward pass of anything else."""

from collections.abc import Iterator

from estimator.hardware.schema import Profile
from estimator.model.architecture import Architecture
from estimator.model.work import Kernel
from estimator.run.phase import Phase, host_gaps, price_each
from estimator.run.pictures import looking, picture_notes
from estimator.run.settings import Inference
from estimator.run.stack import Stack

Pass = tuple[str, tuple[Kernel, ...], float, float, float]
SEGMENTS = 8  # exact: decode is cut into this many stretches of equal length, each priced at its mean context


def inference_phases(model: Architecture, run: Inference, profile: Profile, stack: Stack) -> list[Phase]:
    """Phases of `run`: prefill and decode where the model generates, else forward; and the time spent waiting for the host."""
    passes = list(inference_passes(model, run, stack, run.batch))
    looks = looking(model, run, stack.fusion, run.batch)
    first = [("prefill", looks, float(run.requests))] if looks else []
    phases = price_each([*first, *((name, kernels, count) for name, kernels, count, _, _ in passes)], profile, stack)
    return [*phases, host_gaps(profile, stack, steps=sum(count for _, _, count, _, _ in passes), sequences=run.batch)]


def inference_passes(model: Architecture, run: Inference, stack: Stack, batch: int) -> Iterator[Pass]:
    """Passes through the model, of `batch` sequences: (phase, kernels, how often, tokens through the layers, tokens through the head)."""
    first = {"causal-lm": "prefill", "encoder-decoder": "encode"}.get(model.kind, "forward")
    sizes: dict[str, float] = {"batch": batch, "sequence": run.prompt_tokens - run.cached_tokens, "source": run.prompt_tokens}
    rows = batch * (run.prompt_tokens - run.cached_tokens)
    yield "forward" if first == "forward" else "prefill", _kernels(model, first, stack, sizes), run.requests, rows, batch
    for count, past in _decode_steps(model, run):
        yield "decode", _kernels(model, "decode", stack, sizes | {"past": past}), count * run.requests, batch, batch


def _kernels(model: Architecture, program: str, stack: Stack, sizes: dict[str, float]) -> tuple[Kernel, ...]:
    """The program's kernels at those of the sizes that it asks for."""
    lifted = model.programs[program]
    return lifted.at(stack.fusion, **{symbol: sizes[symbol] for symbol in lifted.symbols})


def _decode_steps(model: Architecture, run: Inference) -> Iterator[tuple[int, float]]:
    if "decode" not in model.programs:
        return iter(())
    return decode_segments(run.prompt_tokens if model.kind == "causal-lm" else 0, run.output_tokens)


def decode_segments(prompt: int, output: int) -> Iterator[tuple[int, float]]:
    """(steps, mean number of cached tokens) of stretches that together make the decode steps after the first token.

    The prefill yields the first output token; step i of the remaining `output - 1` attends to `prompt + i` cached tokens.
    FLOP and bytes are linear in the context between kinks, so the mean context of a stretch gives its exact sum.
    """
    steps = output - 1
    count = min(SEGMENTS, steps)
    for index in range(count):
        first, last = steps * index // count, steps * (index + 1) // count
        yield last - first, prompt + (first + last - 1) / 2


def inference_assumptions(model: Architecture, run: Inference) -> list[str]:
    """What the run takes for granted."""
    if model.kind != "causal-lm":
        return []
    notes = [*picture_notes(model, run), "all sequences of the batch start together; logits are computed for the last prompt token only"]
    if run.cached_tokens:
        notes.append(f"{run.cached_tokens} prompt tokens come from a prefix cache; attention of new prompt tokens to them is not counted")
    return notes
