"""Profiles that other installed packages bring along, under the entry point group `estimator.profiles`.

    [project.entry-points."estimator.profiles"]
    acme = "acme_chips.profiles"          # a package whose folder holds device/, family/, … as hardware_profiles/ does

The folder is found without importing the package: reading a profile executes nothing.
"""

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path

from estimator.errors import ProfileError

GROUP = "estimator.profiles"


@cache
def plugin_folders() -> tuple[Path, ...]:
    """The folders that installed packages announce; raises `ProfileError` for an announcement that leads nowhere."""
    return tuple(_folder(entry) for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name))


def _folder(entry: EntryPoint) -> Path:
    top, *inner = entry.module.split(".")
    spec = find_spec(top)
    candidates = [Path(place, *inner) for place in (spec.submodule_search_locations or [] if spec else [])]
    for folder in candidates:
        if (folder / "device").is_dir():
            return folder
    raise ProfileError(
        f"entry point {entry.name!r} of group {GROUP!r} names {entry.module!r}, and no folder device/ is to be found there; "
        "let it name a package with device/*.toml, or uninstall it"
    )
