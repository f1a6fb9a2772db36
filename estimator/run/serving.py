"""A served model: requests that arrive and leave while the engine keeps many of them in flight."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from estimator.errors import InvalidSetting
from estimator.run.lengths import Lengths, lengths
from estimator.run.pictures import Pictures
from estimator.units import require_count, require_positive, require_share


@dataclass(frozen=True, kw_only=True)
class Serving(Pictures):
    """Serve a language model with continuous batching, as vLLM, SGLang and TensorRT-LLM do, in the steady state.

    Either `concurrency` requests are always in flight on each replica (64 unless `request_rate` is given), or `request_rate` requests a
    second arrive at all `replicas` together. `prompt_tokens` and `output_tokens` are a number, a list of lengths, or quantiles
    such as `{0.5: 95, 0.9: 2157}`; `cached_share` of the prompt tokens is found in a prefix cache.
    `max_num_seqs` and the key-value cache in `memory_share` of the memory cap the batch; prompts are computed in chunks, at most
    `chunk_tokens` tokens in a step. Without `cuda_graphs` the host launches every kernel.
    `hourly` scales the rate by hour of the day (24 shares, or any number of equal parts); a replica without requests idles, or is
    switched off with `scale_to_zero` in the hours without any. `requests` are counted in the estimate.
    `images` of each prompt are looked at once, see `Pictures`; their tokens come on top of `prompt_tokens`.
    `draft` names a smaller model that proposes `draft_tokens` tokens a step, of which each is accepted with probability `acceptance`.

    Raises `InvalidSetting` for values out of range.
    """

    concurrency: float | None = None
    request_rate: float | None = None
    prompt_tokens: Any = 512
    output_tokens: Any = 256
    cached_share: float = 0.0
    max_num_seqs: int = 1024
    chunk_tokens: int = 8192
    memory_share: float = 0.9  # exact: a default that users change, as engines have it
    cuda_graphs: bool = True
    replicas: int = 1
    hourly: Sequence[float] = (1.0,)
    scale_to_zero: bool = False
    requests: int = 1000
    draft: str | None = None
    draft_tokens: int = 3
    acceptance: float = 0.7  # exact: a default that users change
    usual_concurrency: ClassVar[int] = 64

    def __post_init__(self) -> None:
        Pictures.__post_init__(self)
        for name in ("max_num_seqs", "chunk_tokens", "replicas", "requests", "draft_tokens"):
            require_count(name, getattr(self, name))
        if self.chunk_tokens < 2:
            raise InvalidSetting(f"chunk_tokens={self.chunk_tokens}: expected at least 2, a token to decode and one of a prompt in a step")
        for name in ("concurrency", "request_rate"):
            if getattr(self, name) is not None:
                require_positive(name, getattr(self, name))
        if self.concurrency is not None and self.request_rate is not None:
            raise InvalidSetting("concurrency was given together with request_rate: one follows from the other; give one of them")
        if self.concurrency is not None and not 1 <= self.concurrency <= self.max_num_seqs:
            raise InvalidSetting(
                f"concurrency={self.concurrency}: expected 1 to max_num_seqs={self.max_num_seqs}; raise max_num_seqs for more"
            )
        for name in ("cached_share", "memory_share", "acceptance"):
            require_share(name, getattr(self, name))
        if not self.hourly or not all(isinstance(x, (int, float)) and 0 <= x < float("inf") for x in self.hourly):
            raise InvalidSetting(
                f"hourly={self.hourly!r}: expected shares of the request rate, one for each part of the day, none below zero"
            )
        if tuple(self.hourly) != (1.0,) and self.request_rate is None:
            raise InvalidSetting("hourly scales a request_rate; give one")
        assert self.prompts and self.outputs  # raises for lengths that are none

    @property
    def tokens_per_step(self) -> float:
        """Mean tokens that a sequence gets in a step: 1, or as many of a draft's as are accepted in a row, and one more.

        (1 - a^(k + 1)) / (1 - a) for k proposals accepted with probability a each (Leviathan, Kalman and Matias, ICML 2023, equation 1).
        """
        if self.draft is None:
            return 1.0
        return float(sum(self.acceptance**place for place in range(self.draft_tokens + 1)))

    @property
    def prompts(self) -> Lengths:
        """Lengths of the prompts."""
        return lengths(self.prompt_tokens)

    @property
    def outputs(self) -> Lengths:
        """Lengths of the outputs."""
        return lengths(self.output_tokens)
