"""Files that commands write: refused before the work begins if they cannot be written after it."""

import os
from pathlib import Path

from estimator.errors import InvalidSetting


def check_output(option: str, path: Path | None) -> None:
    """Raises `InvalidSetting` if `path` is a folder, lies in one that does not exist, or may not be written."""
    if path is None:
        return
    if path.is_dir():
        raise InvalidSetting(f"{option} {str(path)!r} is a folder; give the name of a file in it")
    if not path.absolute().parent.is_dir():
        raise InvalidSetting(f"{option} {str(path)!r}: the folder {str(path.parent)!r} does not exist; create it first")
    if not os.access(path if path.exists() else path.absolute().parent, os.W_OK):
        raise InvalidSetting(f"{option} {str(path)!r} may not be written; give another place")
