"""Stages of a training run from the command line: `--stage tokens=1e12,sequence_tokens=8192`, or a TOML file of `[[stage]]` tables."""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from estimator.errors import InvalidSetting, unknown_name
from estimator.run.parallel import DEGREES, Parallel
from estimator.run.stage import STAGED, Stage


def stages_of(texts: Sequence[str] | None, path: str | None) -> list[Stage] | None:
    """The stages that `--stage` or `--stages` describe, None where neither was given. Raises `InvalidSetting` or `UnknownName`."""
    if texts and path:
        raise InvalidSetting("--stage does not go with --stages: write all stages into the file, or all on the line")
    if path:
        return _read(Path(path))
    return [_stage(_settings(text)) for text in texts] if texts else None


def _read(path: Path) -> list[Stage]:
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidSetting(f"--stages {path}: {error.strerror}; give a TOML file with a [[stage]] table for each stage") from None
    except tomllib.TOMLDecodeError as error:
        raise InvalidSetting(f"--stages {path}: {error}") from None
    if set(tables) != {"stage"} or not isinstance(tables["stage"], list):
        raise InvalidSetting(f"--stages {path}: holds {', '.join(tables) or 'nothing'}; expected a [[stage]] table for each stage alone")
    return [_stage(table) for table in tables["stage"]]


def _settings(text: str) -> dict[str, Any]:
    """`tokens=1e12,recompute=full` as a dict: numbers, true and false as in TOML, anything else a text."""
    found: dict[str, Any] = {}
    for part in text.split(","):
        name, given, value = part.partition("=")
        if not given:
            raise InvalidSetting(f"--stage {text!r}: {part!r} is no setting; expected name=value, such as tokens=1e12,sequence_tokens=8192")
        found[name.strip().replace("-", "_")] = _value(value.strip())
    return found


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _stage(table: Mapping[str, Any]) -> Stage:
    """A stage whose degrees of parallelism stand beside its other settings."""
    known = {*DEGREES, *STAGED}
    for name in table:
        if name not in known:
            raise unknown_name("setting of a stage", name, known, "A stage takes the options of a training run.")
    degrees = {name: value for name, value in table.items() if name in DEGREES}
    settings = {name: value for name, value in table.items() if name not in degrees}
    return Stage(**settings | ({"parallel": Parallel(**degrees)} if degrees else {}))
