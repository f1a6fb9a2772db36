"""All rows of a suite, one after the other, on a device that nobody else uses."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from estimator.errors import EstimatorError
from estimator.measurement.meter import Meter, MeterError, require_free
from estimator.measurement.tidy import Cells, Site, measured_cells, predicted_cells
from estimator.measurement.window import Bench, Measured, Plan, measure_row
from estimator.validation.evaluate import foretell
from estimator.validation.prediction import Prediction, Steady
from estimator.validation.rows import NotPredicted, Row

Tell = Callable[[Row, Measured | str], None]


@dataclass
class Campaign:
    """What became of the rows: cells of those measured, and why the others were not."""

    rows: list[Cells] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)


def foretold(rows: Sequence[Row]) -> dict[str, Prediction | Steady | str]:
    """Predictions by row_id, to be written down before anything is measured; a text where there is none, saying why."""
    return {row.row_id: _foretell(row) for row in rows}


def _foretell(row: Row) -> Prediction | Steady | str:
    try:
        return foretell(row)
    except EstimatorError as reason:
        return str(reason)


def foretold_cells(row: Row, said: Prediction | Steady | str) -> Cells:
    """The row beside its prediction."""
    return dict(row.columns) | ({"predicted_why_not": said} if isinstance(said, str) else predicted_cells(said))


def measure(rows: Sequence[Row], bench: Bench, meter: Meter, plan: Plan, site: Site, tell: Tell) -> Campaign:
    """Measure placed rows; what the device cannot do is skipped with the reason.

    Raises `MeterError` where the meter fails or another process turns up: its joules would be in every row.
    """
    require_free(meter)
    campaign, watch = Campaign(), _Watch(meter)
    for row in rows:
        try:
            measured = measure_row(row, bench, meter, plan)
        except NotPredicted as reason:
            campaign.skipped.append((row.row_id, str(reason)))
            tell(row, str(reason))
            continue
        finally:
            bench.release()
        watch.look(row)
        campaign.rows.append(measured_cells(row, measured))
        tell(row, measured)
    return campaign


class _Watch:
    """Looks for strangers after each row. In a container the driver lists this process under a number that is not its own:
    the first to turn up alone is this one.
    """

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self.own: set[str] = set()

    def look(self, row: Row) -> None:
        seen = set(self.meter.strangers())
        if not self.own and len(seen) == 1:
            self.own = seen
        if seen - self.own:
            others = ", ".join(sorted(seen - self.own))
            raise MeterError(f"{self.meter.name()} became busy while {row.row_id!r} was measured: {others}. Nothing was written")
