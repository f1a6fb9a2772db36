"""`python -m estimator measure --out measured.csv`: controlled work on the device at hand, measured beside the prediction."""

import argparse
import time
from contextlib import closing
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tabulate import tabulate

from estimator import __version__
from estimator.errors import InvalidSetting, MissingDependency
from estimator.hardware.catalogue import known_as
from estimator.measurement.campaign import Campaign, foretold, foretold_cells, measure
from estimator.measurement.meter import Meter, require_free
from estimator.measurement.meters import TRIED_IN_TURN, open_meter
from estimator.measurement.suites import rows_of, suite_names
from estimator.measurement.tidy import Site, require_new, write_whole
from estimator.measurement.window import Bench, Measured, Plan
from estimator.units import format_change, format_si
from estimator.validation.hardware import profile_name
from estimator.validation.prediction import Prediction, Steady
from estimator.validation.rows import Row

ABOUT = """Run controlled work on the device at hand and write down its energy, time, clocks and temperature.

Nothing is ever set: no clock, no power limit, no mode. The device has to be free of other processes, because energy is read for
all of it. Every row runs for seconds without a pause: a warm-up, then several windows; joules are differences of the device's own
energy counter, and the windows' spread is written beside their middle."""
AFTER = """examples:
  python -m estimator measure --list                                  what would run, and for how long; needs no device
  python -m estimator measure --suite idle --suite kernels --out kernels.csv
  python -m estimator measure --predict --out measured.csv            first measured.predicted.csv, then what was measured
  python -m estimator validate --data measured.csv                    how far off the predictions are
  python -m estimator calibrate --from measured.csv --like H200       a profile of this very card

The file appears when everything is measured, or not at all. Rows that the device cannot run (no fp8, too little memory) are left
out and listed. Whole models need transformers, NVIDIA GPUs nvidia-ml-py: pip install 'joules-estimator[measure,hf]'.
Processors of Intel and AMD are read through RAPL, AMD GPUs through amdsmi; Apple silicon is not supported."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m estimator measure", description=ABOUT, epilog=AFTER, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    plan, add = Plan(), parser.add_argument
    add("--suite", action="append", default=[], metavar="SUITE", help=f"{', '.join(suite_names())}; may be repeated (default: all)")
    add("--out", type=Path, metavar="FILE.csv", help="where the rows go: the tidy schema, which validate and calibrate read")
    add("--device", type=int, metavar="N", help="which device, where there are several: its number in nvidia-smi")
    add("--meter", help=f"{', '.join(TRIED_IN_TURN)} (default: the first that this machine has)")
    add("--hw", metavar="NAME", help="the profile that stands for the device, where the catalogue does not know its name")
    add("--predict", action="store_true", help="write down the predictions first, and beside the measurement")
    add("--window", type=float, default=plan.window, metavar="S", help="seconds of each window (default: %(default)g)")
    add("--warmup", type=float, default=plan.warmup, metavar="S", help="seconds before the first window (default: %(default)g)")
    add("--repeats", type=int, default=plan.repeats, metavar="N", help="windows of each row (default: %(default)s)")
    add("--list", action="store_true", help="print the rows and stop")
    return parser


def run(given: list[str]) -> int:
    """Measure, print each row as it comes, write the file."""
    options = _parser().parse_args(given)
    plan, rows = Plan(options.warmup, options.window, options.repeats), rows_of(options.suite)
    if options.list:
        print("\n".join(row.row_id for row in rows))
        print(f"\n{len(rows)} rows, about {_minutes(rows, plan)} and what preparing them takes")
        return 0
    if options.out is None:
        raise InvalidSetting("--out is missing: give a file to write, such as --out measured.csv; or --list to see what would run")
    require_new(options.out)
    with closing(open_meter(options.meter, options.device)) as meter:
        require_free(meter)
        return _measure(rows, plan, meter, bench_for(meter, options.device), options)


def bench_for(meter: Meter, device: int | None) -> Bench:
    """The torch device that the meter reads."""
    try:
        bench = import_module("estimator.measurement.work.bench").TorchBench
    except ImportError as error:
        raise MissingDependency(f"measuring runs the work in PyTorch, which cannot be imported: {error}") from error
    if meter.kind == "nvidia":
        return bench(uuid=meter.facts()["uuid"])
    return bench("cpu" if meter.kind == "rapl" else f"cuda:{device or 0}")  # torch for ROCm says cuda, too


def _measure(rows: list[Row], plan: Plan, meter: Meter, bench: Bench, options: argparse.Namespace) -> int:
    site = Site.of(meter, f"python -m estimator measure {__version__}", options.hw, date=time.strftime("%Y-%m-%d"), **_versions())
    placed = [site.placed(row) for row in rows]
    _require_profile(site.hardware, options.predict)
    said: dict[str, Any] = foretold(placed) if options.predict else {}
    if options.predict:
        before = options.out.with_suffix(".predicted.csv")
        require_new(before)
        write_whole(before, [foretold_cells(row, said[row.row_id]) for row in placed])
        print(f"predictions written to {before} before anything was measured")
    print(f"{len(placed)} rows on {meter.name()}, about {_minutes(placed, plan)}")

    def tell(row: Row, outcome: Measured | str) -> None:
        print(f"{row.row_id}: {_told(row, outcome, said.get(row.row_id))}", flush=True)

    done = measure(placed, bench, meter, plan, site, tell)
    if not done.rows:
        print(f"no row could be measured; {options.out} was not written")
        return 1
    by_name = {row.row_id: row for row in placed}
    cells = [row | _foretold(by_name[row["row_id"]], said) for row in done.rows]
    write_whole(options.out, cells)
    print(_summary(done, options.out))
    return 0


def _require_profile(hardware: str, predict: bool) -> None:
    """Rows of hardware that nobody described can be measured, but not predicted."""
    if known_as(profile_name(hardware)) is None:
        hint = f"the catalogue has no part called {hardware!r}: say with --hw NAME which of `python -m estimator profiles` stands for it"
        if predict:
            raise InvalidSetting(hint)
        print(f"note: {hint}; else validate cannot predict these rows")


def _foretold(row: Row, said: dict[str, Any]) -> dict[str, str]:
    cells = foretold_cells(row, said[row.row_id]) if row.row_id in said else {}
    return {name: value for name, value in cells.items() if name.startswith("predicted_")}


def _told(row: Row, outcome: Measured | str, said: Prediction | Steady | str | None) -> str:
    if isinstance(outcome, str):
        return f"left out: {outcome}"
    per_second = row.text("unit") == "second"
    figures = [format_si(outcome.power, "W")]
    if not per_second:
        figures += [format_si(outcome.time, "s"), f"{format_si(outcome.energy, 'J')} per {row.text('unit')}"]
    if said is not None and not isinstance(said, str) and said.energy is not None:
        error = said.energy / (outcome.power if per_second else outcome.energy) - 1
        figures.append(f"predicted {format_si(said.energy, 'W' if per_second else 'J')} ({format_change(error)})")
    return ", ".join(figures) + ("" if outcome.steady else "; unsteady")


def _summary(done: Campaign, out: Path) -> str:
    lines = [f"{len(done.rows)} rows written to {out}"]
    if done.skipped:
        lines += [f"\n{len(done.skipped)} rows left out:", tabulate(done.skipped, ["row", "why"])]
    return "\n".join([*lines, f"\nnext: python -m estimator validate --data {out}"])


def _minutes(rows: list[Row], plan: Plan) -> str:
    seconds = len(rows) * plan.seconds
    return f"{seconds / 60:.0f} minutes" if seconds >= 60 else f"{seconds:.0f} seconds"  # exact: by definition


def _versions() -> dict[str, str]:
    return {"torch": f"torch {version('torch')}"}
