"""The table of accuracy is generated: a line for each suite, kernels by the cap, the command, the limits."""

from datetime import date

from estimator.__main__ import main
from estimator.validation.evaluate import Evaluation, Skipped
from estimator.validation.readme import accuracy, as_markdown
from estimator.validation.score import Result
from estimator.validation.suites import NAMES


def result(suite="kernels", cap="at cap", predicted=9.0, why_not="", factors=((0.8, 1.2), (0.5, 1.5))):
    narrow, wide = factors
    return Result(
        "r", "f", suite, "h", "dev", why_not, {"cap": cap}, measured_energy=10.0, predicted_energy=predicted, energy_given_time=10.5,
        measured_time=2.0, predicted_time=1.0, factors={"energy": {50: narrow, 90: wide}},
    )  # fmt: skip


def table(*results, skipped=()):
    return as_markdown(Evaluation(list(results), list(skipped)), "python -m estimator validate --readme", date(2026, 11, 27))


def test_every_suite_has_a_description_and_limits():
    assert set(accuracy()) == set(NAMES)
    assert all(set(texts) == {"what", "limits"} for texts in accuracy().values())


def test_kernels_stand_in_two_lines_and_other_suites_in_one():
    text = table(result(), result(cap="below cap"), result(cap="below cap"), result("serving", cap="at cap"))
    lines = [line.split(" | ") for line in text.splitlines() if line.startswith("|")]
    assert len({len(line) for line in lines[2:]}) == 1
    assert [(line[0].rpartition("; ")[2], line[1]) for line in lines[2:4]] == [("at cap", "1"), ("below cap", "2")]
    assert lines[4][0].startswith("| language models served")


def test_figures_are_medians_with_their_percentile_and_the_shares_inside():
    # time 1 of 2 s: 50 %; energy in the measured time 10.5 of 10 J: 5 %; energy 9 of 10 J: 10 %, inside 9 × (0.8 … 1.2)
    line = next(line for line in table(result()).splitlines() if "at cap" in line)
    assert "| 1 | 50 % (50 %) | 5 % (5 %) | 10 % (10 %) | 100 / 100 |" in line
    outside = next(line for line in table(result(predicted=5.0)).splitlines() if "at cap" in line)
    assert "| 0 / 0 |" in outside


def test_the_table_says_when_how_and_what_is_not_in_it():
    text = table(result(), result(why_not="stalled"), skipped=[Skipped("a", "f", "serving", "why")])
    assert "on 2026-11-27, by `python -m estimator validate --readme`" in text
    assert "1 rows are scored, 1 reported apart" in text
    assert "1 not predicted. Over all suites the 50 % interval holds 100% and the 90 % interval 100% of the rows." in text
    assert accuracy()["kernels"]["limits"] in text


def test_the_command_prints_the_table_alone_with_the_command_that_repeats_it(capsys):
    assert main(["validate", "microbench", "--limit", "3", "--no-intervals", "--readme"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("Median |error|")
    assert "`python -m estimator validate microbench --limit 3 --readme`" in text
    assert "Worst rows" not in text
