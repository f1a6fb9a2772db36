"""Bundled models: architectures whose steps were traced once and lifted, so that an estimate needs neither torch nor weights."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

from estimator.errors import unknown_name
from estimator.model.names import find
from estimator.model.packing import Packer, Unpacker
from estimator.model.program import Program
from estimator.model.published import stored
from estimator.model.saved import Saved, pack, unpack
from estimator.model.vision import Vision

KINDS = ("causal-lm", "encoder", "encoder-decoder", "vision", "diffusion")
BUNDLED = Path(__file__).with_name("bundled")
INDEX = "index.json"
SELDOM = ("programs", "defaults", "state_bytes", "held_in", "vision")  # written last, all but the first where there are any
VARIANT = '{"like": '  # begins the file of a model that differs from another one in its sizes and names alone


@dataclass(frozen=True, slots=True)
class Architecture:
    """A model as the estimator sees it: counts, cache sizes and one program for each kind of step.

    `source` and `status` say where the configuration comes from (status as in hardware profiles: datasheet or assumed).
    `parameters` counts every distinct weight, `active_parameters` those that one token meets (the routed experts it is sent
    to, all else); `parameter_bytes` is their size in `format`, the number format that was traced.
    `kv_bytes_per_token` is what one token of one sequence leaves in the caches of all layers; of it, `kv_windows` lists
    (window in tokens, bytes) for the layers that keep only the latest tokens. An encoder has neither. `state_bytes` is what the
    states of recurrent layers take for one sequence, whatever its length.
    `programs`: a causal-lm has "prefill" (batch, sequence; logits of the last token only), "decode" (batch, past; one new
    token for each sequence) and "training" (batch, sequence; forward, loss and backward over all tokens); an encoder or vision
    model "forward" and "training"; an encoder-decoder "encode", "decode" and "training"; a diffusion pipeline "encode" (batch),
    "denoise" (one pass) and "decode" (batch, height, width in pixels, frames where it makes videos).
    `saved` is what a training step keeps from forward to backward: for each fusion the bytes of each `Part`, as polynomials of its
    symbols.
    `decisions` are the choices made on the way from the published model to the traced one. `defaults` are sizes that the model
    was made for: of a diffusion pipeline height, width, frames, steps and passes of guidance.
    `held_in` is the format that the given name stands for (`…-FP8`, gpt-oss), in which an estimate of inference packs them;
    the programs hold them as they were traced. `vision` is the tower of a model that looks at pictures; its weights are
    counted, but no token meets them.
    """

    name: str
    kind: str
    source: str
    status: str
    format: str
    parameters: int
    active_parameters: int
    parameter_bytes: float
    programs: Mapping[str, Program]
    kv_bytes_per_token: float = 0
    kv_windows: tuple[tuple[int, float], ...] = ()
    state_bytes: float = 0
    max_positions: int | None = None
    saved: Mapping[str, Saved] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    decisions: tuple[str, ...] = ()
    defaults: Mapping[str, int] = field(default_factory=dict)
    held_in: str | None = None
    vision: Vision | None = None

    def kv_bytes(self, tokens: Any) -> Any:
        """Bytes in the caches and states of one sequence that holds `tokens` tokens (a number or an array)."""
        unlimited = self.kv_bytes_per_token - sum(size for _, size in self.kv_windows)
        # (a + b - |a - b|) / 2 is the smaller of a and b, for arrays as for numbers
        limited = sum(size * (tokens + window - abs(tokens - window)) / 2 for window, size in self.kv_windows)
        return unlimited * tokens + limited + self.state_bytes

    @property
    def language(self) -> "Architecture":
        """The model without its vision tower, as it is trained on text."""
        if self.vision is None:
            return self
        left = self.parameters - self.vision.parameters
        return replace(self, vision=None, parameters=left, parameter_bytes=self.parameter_bytes - self.vision.parameter_bytes)

    def to_json(self) -> str:
        """The architecture as JSON text, one kernel, tensor or signature per line."""
        packer = Packer()
        given: dict[str, Any] = {"state_bytes": self.state_bytes} if self.state_bytes else {}
        given |= {"defaults": dict(self.defaults)} if self.defaults else {}
        given |= {"held_in": self.held_in} if self.held_in else {}
        given |= {"vision": self.vision.to_json()} if self.vision else {}
        data: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in SELDOM}
        data["saved"] = pack(self.saved)
        programs = {name: program.pack(packer) for name, program in self.programs.items()}
        return _layout(data | given | {"tables": packer.tables(), "programs": programs}) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Architecture":
        """The architecture that `to_json` wrote; nothing in the text is executed."""
        data = json.loads(text)
        unpacker = Unpacker(data.pop("tables"))
        data["programs"] = {name: Program.unpack(program, unpacker) for name, program in data["programs"].items()}
        data["saved"] = unpack(data["saved"])
        data["vision"] = Vision.from_json(data["vision"]) if "vision" in data else None
        data["kv_windows"] = tuple(tuple(pair) for pair in data["kv_windows"])
        return cls(**data | {name: tuple(data[name]) for name in ("aliases", "decisions")})


def list_models() -> list[str]:
    """Names of the bundled architectures."""
    return sorted(set(_names().values()))


@cache
def bundled_name(name: str) -> str | None:
    """The bundled architecture that a published name stands for, see `estimator.model.names`; None where none certainly is."""
    return find(name, _by_lower())


def load_architecture(name: str) -> Architecture:
    """The architecture of a bundled name or alias, or of a Hugging Face identifier.

    Case, owner, words for tuning (`…-Instruct`) and the format of the weights (`…-FP8`, kept in `held_in`) of a bundled name do not
    matter, see `bundled_name`. A name that is not bundled is asked of `transformers.AutoConfig`; where that is not installed or does
    not know it either, raises `UnknownName`, which lists the nearest bundled names and says what was tried.
    """
    plain, weights = stored(name)
    stem = bundled_name(name) or bundled_name(plain)
    if stem is not None and (name.lower() in _by_lower() or not Path(name).is_dir()):
        return _load(stem) if weights is None else _held(stem, weights)
    if "/" not in name and not Path(name).is_dir():
        raise unknown_name("model", name, _names(), "Other models go by their Hugging Face identifier ('owner/name') or as a module.")
    built = _from_transformers(name)
    return built if weights is None else replace(built, held_in=weights)


def _from_transformers(name: str) -> Architecture:
    try:
        from estimator.model.build import architecture_from_config, published_config
    except ImportError as error:
        hint = f"Its configuration could be read with transformers, which is not usable here ({error}): pip install transformers."
        raise unknown_name("model", name, _names(), hint) from None
    try:
        config = published_config(name)
    except (OSError, ValueError) as error:
        hint = f"transformers.AutoConfig was asked for its configuration and has none: {str(error).strip().splitlines()[0]}"
        raise unknown_name("model", name, _names(), hint) from None
    return architecture_from_config(config, name)


@cache
def _held(name: str, weights: str) -> Architecture:
    return replace(_load(name), held_in=weights)


@cache
def _load(name: str) -> Architecture:
    text = (BUNDLED / f"{name}.json").read_text(encoding="utf-8")
    if not text.startswith(VARIANT):
        return Architecture.from_json(text)
    own = json.loads(text)
    base = _load(own.pop("like"))
    if "vision" in own:
        base = _seeing(base, Vision.from_json(own.pop("vision")))
    return replace(base, **own | {"aliases": tuple(own["aliases"]), "decisions": (*own.get("decisions", ()), *base.decisions)})


def _seeing(base: Architecture, vision: Vision) -> Architecture:
    """A language model with a vision tower before it."""
    return replace(
        base,
        vision=vision,
        parameters=base.parameters + vision.parameters,
        parameter_bytes=base.parameter_bytes + vision.parameter_bytes,
    )


@cache
def _names() -> dict[str, str]:
    """Every name and alias with the file that it stands for."""
    return json.loads((BUNDLED / INDEX).read_text(encoding="utf-8"))


@cache
def _by_lower() -> dict[str, str]:
    return {known.lower(): stem for known, stem in _names().items()}


OUTER = 5  # exact: levels of nesting down to the rows of a program


def _layout(value: Any, depth: int = OUTER) -> str:
    """Compact JSON that still starts a new line for each entry of its outer `depth` levels, so that changes can be read."""
    if depth and isinstance(value, dict) and value:
        return "{\n" + ",\n".join(f"{json.dumps(key)}: {_layout(item, depth - 1)}" for key, item in value.items()) + "\n}"
    if depth and isinstance(value, list) and value:
        return "[\n" + ",\n".join(_layout(item, 0) for item in value) + "\n]"
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
