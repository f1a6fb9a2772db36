"""The bundled diffusion pipelines' configurations, read from TOML: denoisers with the text encoders and decoder around them."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from estimator.errors import unknown_name
from estimator.model.build.zoo import ABSENT, CONFIGS

FOLDER = CONFIGS / "diffusion"
PARTS = ("encoders", "decoders")
LABELS = {"like", "aliases", "source", "status", "defaults"}


@dataclass(frozen=True)
class Pipeline:
    """One pipeline: its own table, those of its text encoders with the tokens that each reads, and that of its decoder."""

    name: str
    table: Mapping[str, Any]
    encoders: tuple[tuple[str, Mapping[str, Any], int], ...]
    decoder: Mapping[str, Any]
    own: Mapping[str, Any]

    @property
    def defaults(self) -> Mapping[str, int]:
        """Size, steps and guidance that the pipeline itself would take."""
        return self.table["defaults"]

    @property
    def is_video(self) -> bool:
        """Whether frames are made."""
        return "frames" in self.defaults

    @property
    def variant(self) -> dict[str, Any] | None:
        """What is its own where another pipeline has the same parts: name, source, aliases and defaults; else None."""
        if not set(self.own) <= LABELS:
            return None
        labels = {key: self.table[key] for key in ("source", "status", "aliases")}
        return {"like": self.own["like"], "name": self.name, **labels, "defaults": dict(self.defaults)}

    @property
    def text_tokens(self) -> int:
        """Tokens of text that the denoiser reads: as stated, or those of its only or first encoder."""
        first = self.encoders[0][2] if self.encoders else 1
        return self.table.get("text_tokens", first)

    @property
    def config(self) -> Mapping[str, Any]:
        """The denoiser's configuration, where it differs from its class's defaults."""
        return _known(self.table["denoiser"].get("config", {}))


@cache
def names() -> tuple[str, ...]:
    """All bundled pipelines."""
    return tuple(name for path in sorted(FOLDER.glob("*.toml")) if path.stem not in PARTS for name in _tables(path.stem))


def pipeline(name: str) -> Pipeline:
    """The pipeline of that name; raises `UnknownName`."""
    for path in FOLDER.glob("*.toml"):
        if path.stem not in PARTS and name in _tables(path.stem):
            table = _tables(path.stem)[name]
            encoders = tuple((part, _tables("encoders")[part], tokens) for part, tokens in table["encoders"].items())
            return Pipeline(name, table, encoders, _tables("decoders")[table["decoder"]], _read(path.stem)[name])
    raise unknown_name("pipeline", name, names(), "Add a table to estimator/model/configs/diffusion.")


@cache
def _tables(stem: str) -> Mapping[str, dict[str, Any]]:
    """The tables of one file; one that is `like` another starts from it and is merged into it table by table."""
    tables = _read(stem)
    return {name: _resolve(name, tables) for name in tables}


@cache
def _read(stem: str) -> dict[str, dict[str, Any]]:
    return tomllib.loads((FOLDER / f"{stem}.toml").read_text(encoding="utf-8"))


def _resolve(name: str, tables: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    own = tables[name]
    return _merged(_resolve(own["like"], tables), own) if "like" in own else own


def _merged(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """`own` upon `base`; encoders replace each other, for their order counts."""
    nested = {key for key, value in own.items() if isinstance(value, dict) and isinstance(base.get(key), dict) and key != "encoders"}
    return {**base, **{key: _merged(base[key], value) if key in nested else value for key, value in own.items()}}


def _known(config: Mapping[str, Any]) -> dict[str, Any]:
    return {key: None if value == ABSENT else value for key, value in config.items()}
