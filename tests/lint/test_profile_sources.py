"""Every number in a TOML file of the project says where it comes from: beside it, or at the top of its table or file."""

import re
import tomllib

from tests.lint.source import ROOT, report

STATUSES = {"datasheet", "measured", "derived", "assumed"}
LABELS = {"year", "node_nm", "name", "aliases", "inherits"}  # names, some of which look like numbers
UNCONFIRMED = re.compile(r"\brecalled\b|\bnot confirmed\b", re.IGNORECASE)
QUANTITY = re.compile(r"[-+]?[\d.]+(e[-+]?\d+)?( \S+)?", re.IGNORECASE)  # 700, "1980 MHz"


def is_number(value: object) -> bool:
    if isinstance(value, list):
        return any(map(is_number, value))
    return (isinstance(value, (int, float)) and not isinstance(value, bool)) or (isinstance(value, str) and bool(QUANTITY.fullmatch(value)))


def leaves(table: dict, defaults: dict, path: str = ""):
    """Every number as (dotted path, source, status); those of a table, or of the file, stand in where the number has none."""
    defaults = defaults | {key: table[key] for key in ("source", "status") if key in table}
    for key, value in table.items():
        where = f"{path}.{key}".lstrip(".")
        if isinstance(value, dict) and "value" not in value:
            yield from leaves(value, defaults, where)
        elif isinstance(value, dict) or (key not in LABELS and is_number(value)):
            own = defaults | (value if isinstance(value, dict) else {})
            yield where, own["source"], own["status"]


def faults_of(table: dict):
    """Numbers without a source, statuses that nobody defined, and recollections that pass for figures that were read."""
    for where, source, status in leaves(table, {"source": "", "status": "assumed"}):
        if not str(source).strip():
            yield f"{where} has no source"
        if status not in STATUSES:
            yield f"{where} has the unknown status {status!r}"
        if status in ("datasheet", "measured") and UNCONFIRMED.search(str(source)):
            yield f"{where} is {status} although its source was not confirmed"


def test_every_number_has_a_source():
    files = sorted(path for folder in ("hardware_profiles", "estimator") for path in (ROOT / folder).rglob("*.toml"))
    assert files
    tables = {path: tomllib.loads(path.read_text(encoding="utf-8")) for path in files}
    faults = [f"{path.relative_to(ROOT)}: {fault}" for path, table in tables.items() for fault in faults_of(table)]
    assert not faults, report(faults, "Give `source` at the top of the file, or { value = …, source = … } at the number.")


def test_a_number_without_a_source_is_noticed():
    assert list(faults_of({"power": {"limit": 700}})) == ["power.limit has no source"]
    assert list(faults_of({"clock": {"boost": "1980 MHz"}})) == ["clock.boost has no source"]
    assert list(faults_of({"source": "x", "power": {"limit": {"value": 700, "source": " "}}})) == ["power.limit has no source"]
    assert list(faults_of({"source": "x", "status": "guessed", "a": 1})) == ["a has the unknown status 'guessed'"]
    assert list(faults_of({"a": {"source": "x", "x": 1}, "b": {"y": 1}})) == ["b.y has no source"]
    assert not list(faults_of({"source": "NVIDIA H100 datasheet", "year": 2022, "power": {"limit": "700 W"}}))


def test_a_recollection_that_passes_for_a_datasheet_is_noticed():
    recalled = {"source": "vendor's data sheet, recalled", "status": "datasheet", "limit": 700}
    assert list(faults_of(recalled)) == ["limit is datasheet although its source was not confirmed"]
    assert not list(faults_of(recalled | {"status": "assumed"}))
