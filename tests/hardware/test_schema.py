"""The schema refuses what a chip cannot be."""

import json
import tomllib

import pytest
from jsonschema import Draft7Validator
from pydantic import ValidationError

from estimator.errors import ProfileError
from estimator.hardware.catalogue import load_profile
from estimator.hardware.keys import describe, keys
from estimator.hardware.quantity import Quantity
from tests.hardware.key_table import FOLDER, SCHEMA, in_readme, schema_text, table

V100 = load_profile("v100-sxm2-16gb")


def changed(**sections) -> dict:
    return {"inherits": "v100-sxm2-16gb"} | sections


def test_a_profile_survives_its_own_dump():
    assert load_profile(V100.model_dump()) == V100
    assert load_profile(V100.model_dump(mode="json")) == V100


def test_a_dump_keeps_every_source():
    again = load_profile(V100.model_dump()).quantities()
    assert {path: (q.source, q.status, q.low, q.high) for path, q in again.items()} == {
        path: (q.source, q.status, q.low, q.high) for path, q in V100.quantities().items()
    }


def test_profiles_do_not_change():
    with pytest.raises(ValidationError, match="frozen"):
        V100.clock.boost = 1.0


def test_every_number_can_be_listed():
    numbers = V100.quantities()
    assert all(isinstance(number, Quantity) for number in numbers.values())
    assert {"memory.bandwidth", "tensor.fma_per_clock.fp16", "links.nvlink.bandwidth", "process.leakage"} <= set(numbers)


def test_a_chip_without_matrix_units_is_a_chip():
    p100 = load_profile("P100")
    assert p100.tensor is None
    assert not [path for path in p100.quantities() if path.startswith("tensor.")]


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"clock": {"minimum": "2 GHz"}}, "clock.minimum must not exceed clock.boost"),
        ({"clock": {"voltage_floor": "0.1 V"}}, "clock.voltage_floor must lie between threshold_voltage and voltage_at_boost"),
        ({"clock": {"voltage_at_boost": "0.5 V"}}, "clock.voltage_floor must lie between threshold_voltage and voltage_at_boost"),
        ({"power": {"regulator_efficiency": 1.1}}, "power.regulator_efficiency must lie in (0, 1]"),
        ({"power": {"idle": "300 W"}}, "power.idle must be below power.limit"),
        ({"power": {"limit": float("inf")}}, "power.limit must be a finite number of at least zero"),
        ({"memory": {"capacity": "-1 GiB"}}, "memory.capacity must be a finite number of at least zero"),
        ({"kind": "toaster"}, "kind: Input should be 'gpu', 'tpu', 'cpu' or 'accelerator'"),
    ],
)
def test_impossible_chips_are_refused(sections, message):
    with pytest.raises(ProfileError) as caught:
        load_profile(changed(**sections))
    assert message in str(caught.value)


def test_every_key_is_described():
    assert not [key.path for key in keys() if not key.meaning]


def test_a_concrete_key_is_described_by_the_general_one():
    assert describe("tensor.fma_per_clock.bf16").unit == "MAC/clock"
    assert describe("links.nvlink.bandwidth").meaning == "of the whole device, one direction"
    assert describe("clock.boost").path == "clock.boost"
    with pytest.raises(KeyError):
        describe("clock.bost")


def test_readme_lists_every_key():
    assert in_readme() == table(), "run `python -m tests.hardware.key_table`"


def test_the_editor_schema_is_fresh():
    assert SCHEMA.read_text(encoding="utf-8") == schema_text(), "run `python -m tests.hardware.key_table`"


def faults(table: dict) -> list[str]:
    """What an editor would mark in a file."""
    return [error.message for error in Draft7Validator(json.loads(schema_text())).iter_errors(table)]


@pytest.mark.parametrize("part", ["node", "family", "memory", "link", "device"])
def test_the_editor_schema_accepts_every_shipped_file(part):
    files = list((FOLDER / part).glob("*.toml"))
    assert files and {path.name: faults(tomllib.loads(path.read_text(encoding="utf-8"))) for path in files} == {
        path.name: [] for path in files
    }


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ('[clock]\nbost = "2 GHz"', "bost"),
        ('[clock]\nboost = "fast"', "fast"),
        ('[clock]\nboost = { low = 1, source = "x" }', "value"),
        ('[power]\nlimit = { value = 700, statuz = "x" }', "statuz"),
        ('kind = "toaster"', "toaster"),
        ('status = "guessed"', "guessed"),
    ],
)
def test_the_editor_schema_marks_mistakes(text, word):
    validator = Draft7Validator(json.loads(schema_text()))
    errors = [inner for error in validator.iter_errors(tomllib.loads(text)) for inner in (error, *error.context)]
    assert any(word in error.message for error in errors)
