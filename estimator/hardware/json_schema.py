"""The JSON Schema of a profile file, so that an editor completes its keys, shows their meaning and marks mistakes.

No key is required: any of them may be inherited. What a file lacks in the end is for `profiles check` to say.
"""

from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel

from estimator.hardware.keys import bare, unit_of
from estimator.hardware.schema import Profile
from estimator.quantity import KEYS, STATUSES

TEXT = {"type": "string"}
NUMBER = {"type": "number"}
AMOUNT = {"type": "string", "pattern": r"^[-+]?[0-9.]+([eE][-+]?[0-9]+)?( \S+)?$"}
PROVENANCE = {
    "source": {"type": "string", "description": "where it was published; default of every number below"},
    "status": {"enum": list(STATUSES), "description": "default of every number below"},
}


def profile_schema() -> dict[str, Any]:
    """JSON Schema (draft 7) of one file of `hardware_profiles/`: node, family, memory, link or device."""
    inherits = {"description": "files merged below this one, in this order", "anyOf": [TEXT, {"type": "array", "items": TEXT}]}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "hardware profile",
        **_section(Profile, {"inherits": inherits}),
        "definitions": {"sourced": _sourced()},
    }


def _sourced() -> dict[str, Any]:
    own: dict[str, Any] = {"value": {"anyOf": [NUMBER, AMOUNT]}, "low": {"anyOf": [NUMBER, AMOUNT]}, "high": {"anyOf": [NUMBER, AMOUNT]}}
    texts = dict.fromkeys(sorted(KEYS - set(own) - {"status"}), TEXT)
    return _object(own | texts | {"status": {"enum": list(STATUSES)}}) | {"required": ["value"]}


def _section(model: type[BaseModel], more: dict[str, Any] | None = None) -> dict[str, Any]:
    fields = {name: _field(field) for name, field in model.model_fields.items()}
    return _object((more or {}) | fields | PROVENANCE)


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _field(field: Any) -> dict[str, Any]:
    kind = bare(field.annotation)
    if get_origin(kind) is dict:
        return {"type": "object", "properties": PROVENANCE, "additionalProperties": _value(get_args(kind)[1], field)}
    return _value(kind, field)


def _value(kind: Any, field: Any) -> dict[str, Any]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return _section(kind)
    unit = unit_of(kind, field)
    said = {"description": f"{field.description} [{unit}]" if unit not in (None, "1") else field.description or ""}
    if unit is not None:
        return said | {"anyOf": [NUMBER, AMOUNT, {"$ref": "#/definitions/sourced"}]}
    if get_origin(kind) is Literal:
        return said | {"enum": list(get_args(kind))}
    if get_origin(kind) is tuple:
        return said | {"type": "array", "items": TEXT}
    return said | {"type": {str: "string", int: "integer", float: "number"}[kind]}
