"""What the prompts of served rows show besides their text: as the row states it, else as workloads.toml assumes for its task."""

from typing import Any, NamedTuple

from estimator.validation.rows import NotPredicted, Row
from estimator.validation.workloads import workloads

STATED = {"image_height": "img_h", "image_width": "img_w", "frames": "frames"}  # settings of a run, and the columns that state them


class Shows(NamedTuple):
    """Settings of the pictures in each prompt, tokens of its text where the row leaves them out, and why it is reported apart."""

    settings: dict[str, Any]
    tokens: float | None = None
    apart: str = ""


def shows(row: Row) -> Shows:
    """The pictures of a row. Raises `NotPredicted` where its prompts hold something else than text that is not stated."""
    usual = workloads()["pictures"].get(row.text("task"))
    if usual is None and not row.text("img_h"):
        if row.text("kind") == "multimodal_serving":
            raise NotPredicted("prompts of sound, or of pictures without a size, are not stated")
        return Shows({})
    usual = {name: number["value"] for name, number in (usual or {}).items()}
    settings = {name: row.whole(column, usual.get(name, 1 if name == "frames" else None)) for name, column in STATED.items()}
    assumed = [column for name, column in STATED.items() if not row.text(column) and usual.get(name, 1) != 1]
    assumed += ["input_len"] if not row.text("input_len") else []
    return Shows({"images": 1} | settings, usual.get("tokens"), f"assumed: {', '.join(assumed)}" if assumed else "")
