"""Fitted values go into profile files: the value, its status and its note change, and nothing else does."""

import tomllib
from datetime import date

import pytest

from estimator.errors import ProfileError
from estimator.facts import profiles_dir
from estimator.validation.calibration.constants import CALIBRATED, free
from estimator.validation.calibration.writing import rewritten

NEW = {"value": "0.93", "status": '"derived"', "note": "calibrated 2026-11-27 from 0.88 on 12 rows of a.csv, b.csv"}
TEXT = """# A family.  { not a table }
inherits = ["nvidia"]
overhead = { value = 3, low = 1, high = 6, unit = "us", note = "fill, drain; a = {b}" } # a comment

[clock] # curve
boost = { value = 1980, unit = "MHz" }
share = { value = 0.88, low = 0.5, high = 1, source = "x, y = 3" }

[clock.tree] # own table
value = 0.88
low = 0.5
high = 2
note = "from \\"here\\""

# what follows
[power]
limit = 700
"""


def leaf(text, path):
    found = tomllib.loads(text)
    for part in path.split("."):
        found = found[part]
    return found


@pytest.mark.parametrize("path", ["overhead", "clock.share", "clock.tree"])
def test_value_status_and_note_change_and_all_else_stays(path):
    result = rewritten(TEXT, path, NEW, "x.toml")
    old, new = leaf(TEXT, path), leaf(result, path)
    assert (new["value"], new["status"]) == (0.93, "derived")
    assert new["note"] == (f"{old['note']}; {NEW['note']}" if "note" in old else NEW["note"])
    assert {key: new[key] for key in old if key not in ("value", "note")} == {key: old[key] for key in old if key not in ("value", "note")}
    comments = [line for line in TEXT.splitlines() if "#" in line]
    assert all(line.partition("#")[2] in result for line in comments)
    changed = [line for line in TEXT.splitlines() if line not in result.splitlines()]
    assert len(changed) <= 2


def test_a_second_calibration_replaces_the_record_of_the_first_and_keeps_the_prior():
    once = rewritten(TEXT, "clock.tree", NEW, "x.toml")
    twice = rewritten(once, "clock.tree", NEW | {"value": "0.95", "note": "calibrated 2026-12-01 from 0.88 on 9 rows of c.csv"}, "x.toml")
    assert leaf(twice, "clock.tree")["note"] == 'from "here"; calibrated 2026-12-01 from 0.88 on 9 rows of c.csv'
    assert CALIBRATED.search(leaf(twice, "clock.tree")["note"]).group(1) == "0.88"
    assert tomllib.loads(twice)["power"] == {"limit": 700}


def test_a_number_that_is_no_table_is_refused_with_what_to_do():
    with pytest.raises(ProfileError, match=r"x.toml: power.limit is neither a table of its own nor a line of one; write it as one"):
        rewritten(TEXT, "power.limit", NEW, "x.toml")


def test_every_constant_that_may_move_can_be_written_wherever_it_stands():
    day = date(2026, 11, 27)
    met = set()
    for folder in free()["homes"]:
        for path in (profiles_dir() / folder).glob("*.toml"):
            text = path.read_text(encoding="utf-8")
            for name in free()["stack" if folder == "stack" else "hardware"]:
                try:
                    found = leaf(text, name)
                except (KeyError, TypeError):
                    continue
                if isinstance(found, dict) and found.get("low", 0) < found.get("high", 0):
                    note = f"calibrated {day} from {found['value']} on 1 row of a.csv"
                    assert leaf(rewritten(text, name, NEW | {"note": note}, path.name), name)["value"] == 0.93
                    met.add(name)
    assert met >= {"clock.tree_capacitance", "process.leakage", "memory.energy_per_bit", "kernel_overhead", "achievable.tensor"}
