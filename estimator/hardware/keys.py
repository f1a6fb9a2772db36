"""Every key of a profile with its unit and meaning, read off the schema: for tables, templates and messages."""

from collections.abc import Iterator
from types import UnionType
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel

from estimator.hardware.quantity import Unit
from estimator.hardware.schema import Profile

FORMAT, LINK = "‹format›", "‹link›"  # stand for a number format such as bf16 and for the name of a link such as nvlink
NAMES = {"fma_per_clock": FORMAT, "links": LINK}  # what the keys of a table of numbers or sections mean


class Key(NamedTuple):
    """A key by its dotted path. `unit` is None for texts and labels, "1" for pure numbers; `section` names an optional section."""

    path: str
    unit: str | None
    kind: str
    required: bool
    section: str | None
    meaning: str


def keys(model: type[BaseModel] = Profile, prefix: str = "", section: str | None = None) -> Iterator[Key]:
    """All keys below `model` in the order of the schema; the keys of an optional section are required in it."""
    for name, field in model.model_fields.items():
        path, kind = f"{prefix}{name}", bare(field.annotation)
        if get_origin(kind) is dict:
            path, kind = f"{path}.{NAMES[name]}", get_args(kind)[1]
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from keys(kind, f"{path}.", None if field.is_required() else name)
        else:
            yield Key(path, unit_of(kind, field), _kind(kind), field.is_required(), section, field.description or "")


def describe(path: str) -> Key:
    """The `Key` of a concrete path such as `"tensor.fma_per_clock.bf16"`; raises `KeyError` if the schema has none."""
    return _BY_PATH[path] if path in _BY_PATH else _BY_PATH[_general(path)]


def _general(path: str) -> str:
    first, *rest = path.split(".")
    if first == "links" and rest:
        return ".".join([first, LINK, *rest[1:]])
    return f"{path.rpartition('.')[0]}.{FORMAT}"


def bare(annotation: Any) -> Any:
    """The annotation without `| None`."""
    if get_origin(annotation) not in (Union, UnionType):
        return annotation
    return next(part for part in get_args(annotation) if part is not type(None))


def unit_of(kind: Any, field: Any) -> str | None:
    """The SI unit of a field that holds a sourced number, None of any other."""
    return next((item.unit for item in [*field.metadata, *getattr(kind, "__metadata__", ())] if isinstance(item, Unit)), None)


def _kind(kind: Any) -> str:
    names = {str: "text", int: "integer", float: "label"}
    return names.get(kind, "text" if get_origin(kind) is Literal else "list of texts" if get_origin(kind) is tuple else "number")


_BY_PATH = {key.path: key for key in keys()}
