"""How the expert benchmark of NVIDIA's aiconfigurator spreads rows over experts: evenly, or by a power law."""

from collections.abc import Sequence
from functools import cache
from random import Random

from estimator.validation.rows import NotPredicted

DRAWS = 31  # exact: odd, so that a median draw exists
LARGEST_SHARE = 0.8  # exact: of the tokens, what the benchmark lets one expert have before it scales the counts
SPARSE = (0.01, 2.0)  # exact: range of the power law where there are fewer rows than experts


def rows_by_expert(distribution: str, tokens: int, experts: int, picks: int, devices: int) -> tuple[float, ...]:
    """Rows of each expert that has any, on the device that has the most of them.

    "balanced" gives every expert the same, "power_law_a" a number drawn with density x^-a between 1 and 0.8 tokens, scaled to
    tokens × picks rows (collector of ai-dynamo/aiconfigurator). Raises `NotPredicted` for another distribution.
    """
    kind, _, exponent = distribution.rpartition("_")
    if distribution == "balanced" or not distribution:
        return _balanced(tokens, experts, picks, devices)
    if kind != "power_law":
        raise NotPredicted(f"rows spread over experts in an unknown way: {distribution!r}")
    return _power_law(tokens, experts, picks, devices, float(exponent))


def _balanced(tokens: int, experts: int, picks: int, devices: int) -> tuple[float, ...]:
    busy = max(1, round(min(experts, tokens * picks) / devices))
    return (tokens * picks / devices / busy,) * busy


@cache
def _power_law(tokens: int, experts: int, picks: int, devices: int, exponent: float) -> tuple[float, ...]:
    """The experts by their quantiles; on several devices the median of fixed draws of who shares a device with whom."""
    counts = _rounded(_drawn(tokens, experts, picks, exponent), tokens, tokens * picks)
    random, size, heaviest = Random(0), experts // devices, []
    for _ in range(DRAWS):
        random.shuffle(counts)
        heaviest.append(max((counts[i : i + size] for i in range(0, experts, size)), key=sum))
    median = sorted(heaviest, key=sum)[DRAWS // 2]
    return tuple(sorted(count for count in median if count))


def _drawn(tokens: int, experts: int, picks: int, exponent: float, random: Random | None = None) -> list[float]:
    """The power law's quantiles, or as many draws, scaled to all rows; the largest may exceed one row for each token."""
    low, high = (1.0, LARGEST_SHARE * tokens) if tokens * picks > experts else SPARSE
    power = 1 - exponent
    shares = [random.random() if random else (i + 1 / 2) / experts for i in range(experts)]
    drawn = [((high**power - low**power) * share + low**power) ** (1 / power) for share in shares]
    return [tokens * picks * value / sum(drawn) for value in drawn]


@cache
def rows_moved(distribution: str, tokens: int, experts: int, picks: int) -> float:
    """Rows of a draw beyond one for each token, which the benchmark moves to other experts one by one; the mean of fixed draws."""
    kind, _, exponent = distribution.rpartition("_")
    if kind != "power_law":
        return 0.0
    random = Random(0)
    drawn = [count for _ in range(DRAWS) for count in _drawn(tokens, experts, picks, float(exponent), random)]
    return sum(max(count - tokens, 0.0) for count in drawn) / DRAWS


def _rounded(counts: Sequence[float], tokens: int, total: int) -> list[float]:
    """Whole numbers of at most `tokens` that add up to `total`, the largest first: no token picks an expert twice.

    What exceeds one row for each token fills the smallest up; what is missing after rounding goes to the smallest, one each in turn.
    What is too much comes off the smallest likewise, and off the largest for each of them that has none.
    """
    whole = sorted((float(round(count)) for count in counts), reverse=True)
    spare, whole = sum(max(count - tokens, 0.0) for count in whole), [min(count, float(tokens)) for count in whole]
    for i in range(len(whole) - 1, -1, -1):
        more = min(spare, tokens - whole[i])
        whole[i], spare = whole[i] + more, spare - more
    whole.sort(reverse=True)
    missing, turn = total - sum(whole), 0
    while missing > 0:
        i = -1 - turn % len(whole)
        if whole[i] < tokens:
            whole[i], missing = whole[i] + 1, missing - 1
        turn += 1
    for turn in range(round(-missing)):
        i = -1 - turn % len(whole)
        whole[i if whole[i] else 0] -= 1
    return whole
