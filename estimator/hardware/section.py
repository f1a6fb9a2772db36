"""A part of a profile: plain frozen data that knows its sourced numbers by path."""

from pydantic import BaseModel, ConfigDict

from estimator.hardware.quantity import Quantity


class Section(BaseModel):
    """A part of a profile. Unknown keys are errors: a typing mistake must not become a silent default."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def quantities(self) -> dict[str, Quantity]:
        """Every sourced number by dotted path, such as `"memory.bandwidth"`."""
        return dict(_walk(self, ""))


def _walk(value, path):
    if isinstance(value, Quantity):
        yield path, value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _walk(getattr(value, name), f"{path}.{name}".lstrip("."))
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _walk(item, f"{path}.{name}")
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from _walk(item, f"{path}.{index}")
