"""How long benchmarks of single kernels pause before each loop: `python -m benchmarks.meter --data ../shared/measured`.

Prints, for each script of estimator/validation/protocols.toml, the pause that makes the median error of its powers smallest, the pauses
whose median is within a tenth of that, and the median with no pause, with that pause, and on each card with the pause of the other.
"""

import argparse
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

from estimator.errors import EstimatorError
from estimator.validation.evaluate import predict
from estimator.validation.meter import Lagging
from estimator.validation.protocol import entry_of
from estimator.validation.reading import read_data
from estimator.validation.rows import Row

PAUSES = [step / 20 for step in range(31)]  # exact: s, up to half a window beyond the window
NEAR = 1.1  # exact: what counts as as good

Errors = list[float]  # by pause


def main() -> None:
    """Fit and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="a tidy CSV file or a folder of them")
    scripts: dict[str, list[tuple[str, Errors]]] = defaultdict(list)
    for row in read_data(parser.parse_args().data)[0]:
        try:
            prediction = predict(row) if row.energy and row.time and not row.apart else None
        except EstimatorError:
            continue  # `validate` says why
        if isinstance(prediction, Lagging) and prediction.loop:
            scripts[script_of(row)].append((row.text("hardware"), errors(row, prediction)))
    print(f"{'script':44} {'rows':>5} {'pause':>6} {'as good':>12} {'none':>6} {'fitted':>6}  other card's")
    for script, rows in sorted(scripts.items()):
        print(line(script, rows))


def script_of(row: Row) -> str:
    """The columns of the entry of protocols.toml that decides for the row."""
    return ", ".join(entry_of(row, "pause")["columns"].values()) or "any other"


def errors(row: Row, prediction: Lagging) -> Errors:
    """|predicted ÷ measured - 1| of power in the measured time, by pause."""
    assert prediction.loop and row.time and row.energy
    power = replace(prediction, loop=None).energy_in(row.time) / row.time
    more = prediction.loop.pause - entry_of(row, "pause")["value"]  # what the row itself adds
    readings = (replace(prediction, loop=replace(prediction.loop, pause=pause + more)).read_of(power, row.time) for pause in PAUSES)
    return [abs(reading * row.time / row.energy - 1) for reading in readings]


def line(script: str, rows: Sequence[tuple[str, Errors]]) -> str:
    """One line of the table."""
    medians = by_pause([found for _, found in rows])
    best = medians.index(min(medians))
    near = [pause for pause, one in zip(PAUSES, medians) if one <= NEAR * medians[best]]
    others = []
    for card in sorted({card for card, _ in rows}):
        mine, other = ([found for name, found in rows if (name == card) is same] for same in (True, False))
        if other:
            elsewhere = by_pause(other)
            others.append(f"{card} {by_pause(mine)[elsewhere.index(min(elsewhere))]:.1%}")
    fitted = f"{PAUSES[best]:6.2f} {near[0]:5.2f}-{near[-1]:<6.2f} {medians[0]:6.1%} {medians[best]:6.1%}"
    return f"{script:44} {len(rows):5} {fitted}  {' '.join(others)}"


def by_pause(rows: Sequence[Errors]) -> Errors:
    """The median error at each pause."""
    return [median(column) for column in zip(*rows)]


if __name__ == "__main__":
    main()
