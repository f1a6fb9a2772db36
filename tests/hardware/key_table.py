"""The table of all profile keys in hardware_profiles/README.md, generated from the schema.

`python -m tests.hardware.key_table` writes it; a test compares.
"""

from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from estimator.hardware.quantity import Unit
from estimator.hardware.schema import Profile

README = Path(__file__).resolve().parents[2] / "hardware_profiles" / "README.md"
BEGIN, END = "<!-- keys: begin (generated) -->", "<!-- keys: end -->"
NAMES = {"fma_per_clock": "‹format›", "links": "‹link›"}  # what the keys of a table of numbers or sections mean


def rows(model: type[BaseModel], prefix: str = "", needed: str = "yes") -> Iterator[tuple[str, str, str, str]]:
    """(key, unit, required, meaning) of every field below `model`; the keys of an optional section are required in it."""
    for name, field in model.model_fields.items():
        required = needed if field.is_required() else "no"
        key, kind = f"{prefix}{name}", _bare(field.annotation)
        if get_origin(kind) is dict:
            key, kind = f"{key}.{NAMES[name]}", get_args(kind)[1]
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from rows(kind, f"{key}.", "yes" if field.is_required() else f"in `[{name}]`")
        else:
            yield key, _unit(kind, field), required, field.description or ""


def _bare(annotation: Any) -> Any:
    """The annotation without `| None`."""
    if get_origin(annotation) not in (Union, UnionType):
        return annotation
    return next(part for part in get_args(annotation) if part is not type(None))


def _unit(kind: Any, field: Any) -> str:
    metadata = [*field.metadata, *getattr(kind, "__metadata__", ())]
    for item in metadata:
        if isinstance(item, Unit):
            return "–" if item.unit == "1" else item.unit
    return "label" if kind is float else {str: "text", int: "integer"}.get(kind, "text" if get_origin(kind) is Literal else "list of texts")


def table() -> str:
    """The Markdown table."""
    lines = [f"| `{key}` | {unit} | {required} | {meaning} |" for key, unit, required, meaning in rows(Profile)]
    return "\n".join(["| key | SI unit | required | meaning |", "|---|---|---|---|", *lines])


def in_readme() -> str:
    """The table as it stands in the README."""
    return README.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0].strip()


def main() -> None:
    text = README.read_text(encoding="utf-8")
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    README.write_text(f"{before}{BEGIN}\n{table()}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
