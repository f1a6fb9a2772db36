"""What is generated from the schema: the table of all keys in hardware_profiles/README.md, and hardware_profiles/schema.json.

`python -m tests.hardware.key_table` writes both; tests compare.
"""

import json
from pathlib import Path

from estimator.hardware.json_schema import profile_schema
from estimator.hardware.keys import Key, keys

FOLDER = Path(__file__).resolve().parents[2] / "hardware_profiles"
README, SCHEMA = FOLDER / "README.md", FOLDER / "schema.json"
BEGIN, END = "<!-- keys: begin (generated) -->", "<!-- keys: end -->"


def table() -> str:
    """The Markdown table."""
    lines = [f"| `{key.path}` | {_unit(key)} | {_required(key)} | {key.meaning} |" for key in keys()]
    return "\n".join(["| key | SI unit | required | meaning |", "|---|---|---|---|", *lines])


def _unit(key: Key) -> str:
    return key.kind if key.unit is None else "–" if key.unit == "1" else key.unit


def _required(key: Key) -> str:
    return "no" if not key.required else f"in `[{key.section}]`" if key.section else "yes"


def in_readme() -> str:
    """The table as it stands in the README."""
    return README.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0].strip()


def schema_text() -> str:
    """What schema.json must hold."""
    return json.dumps(profile_schema(), indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    text = README.read_text(encoding="utf-8")
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    README.write_text(f"{before}{BEGIN}\n{table()}\n{END}{after}", encoding="utf-8")
    SCHEMA.write_text(schema_text(), encoding="utf-8")


if __name__ == "__main__":
    main()
