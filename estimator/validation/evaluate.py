"""Predicts measured rows one by one and collects results, skipped rows with the reason, and faults."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from estimator.errors import EstimatorError
from estimator.validation.hardware import profile_name
from estimator.validation.intervals import factors
from estimator.validation.metered import Metered
from estimator.validation.prediction import Prediction, Steady
from estimator.validation.reading import Fault
from estimator.validation.rows import NotPredicted, Row, RowFault
from estimator.validation.score import Result
from estimator.validation.suites import BY_KIND, kind_of, suite_of

LABELS = (
    "source",
    "task",
    "precision",
    "model_id",
    "framework",
    "kernel_source",
    "op",
    "network",
    "dataset",
    "kind",
    "trust",
    "batch_size",
    "optimizer",
    "power_limit_w",
)


@dataclass(frozen=True)
class Skipped:
    """A sound row without a prediction, and why."""

    row_id: str
    file: str
    suite: str
    why: str


@dataclass
class Evaluation:
    """Everything that became of the rows."""

    results: list[Result] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


def evaluate(rows: Iterable[Row], intervals: bool = False) -> Evaluation:
    """A result for each row that can be predicted, with its intervals if they are asked for: they take most of the time."""
    done = Evaluation()
    open_ended: dict[str, list[tuple[Row, Prediction]]] = {}
    for row in rows:
        try:
            prediction = predict(row)
            if isinstance(prediction, Prediction) and prediction.units is None and row.time is not None:
                open_ended.setdefault(f"{row.file} {row.text('source')} {row.text('task')}", []).append((row, prediction))
            else:
                done.results.append(result(row, prediction, intervals))
        except NotPredicted as reason:
            done.skipped.append(Skipped(row.row_id, row.file, suite_of(row), str(reason)))
        except RowFault as fault:
            done.faults.append(Fault(row.file, row.line, fault.column, str(fault)))
        except EstimatorError as error:
            done.faults.append(Fault(row.file, row.line, "", f"cannot be predicted: {error}"))
    for group in open_ended.values():
        done.results += _anchored(group, intervals)
    return done


def predict(row: Row) -> Prediction | Steady:
    """What the estimator says about a measured row. Raises `RowFault`, `NotPredicted` and other `EstimatorError`s."""
    prediction = foretell(row)
    if row.energy is None and row.time is None:
        raise RowFault("energy_j_per_unit", "and time_s_per_unit are both empty: nothing was measured")
    return prediction


def foretell(row: Row) -> Prediction | Steady:
    """The same, for a row that nobody has measured yet."""
    kind = kind_of(row)
    if kind not in BY_KIND:
        raise RowFault("kind", f"holds {kind!r}: expected one of {', '.join(sorted({*BY_KIND, 'microbench'} - {'kernel'}))}")
    return BY_KIND[kind].kinds[kind](row)


def result(row: Row, prediction: Prediction | Steady, intervals: bool = False) -> Result:
    """The row beside its prediction."""
    seconds = row.given_time
    published = prediction if isinstance(prediction, Metered) else None
    power_only = row.text("unit") == "second"
    return Result(
        row_id=row.row_id,
        file=row.file,
        suite=suite_of(row),
        hardware=profile_name(row.text("hardware")),
        split=row.text("split"),
        why_not=row.apart or (prediction.apart if isinstance(prediction, Prediction) else ""),
        labels=labels(row) | {"inputs": published.unknown.group if published else ""},
        measured_energy=row.energy,
        predicted_energy=prediction.power if power_only else prediction.energy,
        energy_given_time=prediction.energy_in(seconds) if seconds and row.energy and not power_only else None,
        measured_time=row.time,
        predicted_time=None if power_only else prediction.time,
        factors=factors(row, prediction) if intervals else {},
        assumed=published.unknown.said if published else (),
        mfu=published.mfu if published else None,
    )


def _anchored(group: Sequence[tuple[Row, Prediction]], intervals: bool) -> list[Result]:
    """Rows of one benchmark whose amount of work is not stated: the row with the highest limits fixes it and is not scored on time."""
    top = max(group, key=lambda pair: (pair[0].number("clock_limit_mhz", 0.0), pair[0].number("power_limit_w", 0.0)))
    one = replace(top[1], units=1.0)
    units = one.time / top[0].time if one.time and top[0].time else None
    results = [result(row, replace(prediction, units=units), intervals) for row, prediction in group]
    return [replace(r, predicted_time=None, predicted_energy=None) if r.row_id == top[0].row_id else r for r in results]


def labels(row: Row) -> dict[str, str]:
    """What rows can be grouped by: columns of the schema, `hardware`, `model` and `cap`."""
    found = {name: row.text(name) for name in LABELS}
    short = row.text("model_id").split(" (")[0].rpartition("/")[2]
    found["source"] = row.text("source").split(" (")[0].split(",")[0]
    return found | {"hardware": profile_name(row.text("hardware")), "model": short, "cap": row.cap, "file": row.file}
