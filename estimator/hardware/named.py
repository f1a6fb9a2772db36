"""Things described by one file each and asked for by name: software stacks, training practices, clusters."""

from typing import TypeVar

from pydantic import ValidationError

from estimator.errors import ProfileError, unknown_name
from estimator.facts import load_facts, profiles_dir
from estimator.hardware.schema import Section

Kind = TypeVar("Kind", bound=Section)


def list_named(folder: str) -> list[str]:
    """Names of the files in a folder of `hardware_profiles/`."""
    return sorted(path.stem for path in (profiles_dir() / folder).glob("*.toml"))


def load_named(kind: type[Kind], folder: str, name: str, what: str) -> Kind:
    """The `kind` that a file of that folder describes; `what` it is called in errors. Raises `UnknownName` or `ProfileError`."""
    if name not in list_named(folder):
        raise unknown_name(what, name, list_named(folder), f"Pass one of these as {folder}=….")
    try:
        return kind.model_validate(load_facts(f"{folder}/{name}"))
    except ValidationError as error:
        raise ProfileError(f"{folder}/{name}.toml is no usable {folder}: {error}") from None
