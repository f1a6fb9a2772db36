"""What callers of a serving engine wait for: the first token, and each token after it."""

from estimator.run.steady import Steady

Spread = list[tuple[float, float]]  # (weight, seconds)


def between_tokens(steady: Steady) -> Spread:
    """Seconds between two tokens of a sequence: those of the steps, each kind as often as it happens; a draft yields several in each."""
    return [(share, seconds / steady.mix.yielded) for share, seconds in steady.step_times]


def to_first_token(steady: Steady) -> Spread:
    """Seconds from the arrival of a request to its first token: what is left of the step that runs, and the steps of its own prompt.

    An arrival meets a step with a probability proportional to its length, anywhere in it.
    """
    mean = steady.step_seconds
    left = [(share * seconds / mean / 2, part * seconds) for share, seconds in steady.step_times for part in (1 / 2**2, 1 - 1 / 2**2)]
    own = [
        (chunk.share, chunk.prompts, seconds)
        for chunk, (_, seconds) in zip(steady.mix.chunks, steady.step_times[-len(steady.mix.chunks) :])
    ]
    whole = sum(share * prompts for share, prompts, _ in own)
    spans = [(share * prompts / whole, seconds * chunk.spans) for chunk, (share, prompts, seconds) in zip(steady.mix.chunks, own)]
    return [(a * b, wait + span) for a, wait in left for b, span in spans]


def quantile(spread: Spread, share: float) -> float:
    """The seconds that a share of the weight does not exceed, interpolated between the middles of the classes."""
    ordered = sorted(spread, key=lambda pair: pair[1])
    whole, below, before = sum(weight for weight, _ in ordered), 0.0, (0.0, ordered[0][1])
    for weight, seconds in ordered:
        middle = (below + weight / 2) / whole
        if share <= middle:
            place = (share - before[0]) / (middle - before[0]) if middle > before[0] else 1.0
            return before[1] + place * (seconds - before[1])
        below, before = below + weight, (middle, seconds)
    return before[1]
