"""`python -m estimator llama-3.1-8b --hw H100`: one estimate, as a table, as rows or as JSON."""

import argparse
from typing import Any

from tabulate import tabulate

from estimator.api import estimate
from estimator.errors import InvalidSetting
from estimator.run.settings import OPTIMIZERS, Inference, Training
from estimator.units import format_si


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m estimator",
        description="Predict the energy of running a model; nothing is run on real hardware.",
        epilog="Other commands: models, profiles, check, validate, what-if, measure.",
    )
    add_run_options(parser)
    add = parser.add_argument
    add("--by", help="print only the rows of one grouping: phase, component, layer, module, op, kernel, event, bound")
    add("--json", action="store_true", help="print the whole estimate as JSON")
    return parser


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """What is run on what: the options that every command about one run shares; `run_of` reads them."""
    add = parser.add_argument
    add("model", help="a bundled architecture, such as llama-3.1-8b")
    add("--hw", default="H100", help="hardware: a name, an alias or a TOML file (default: %(default)s)")
    add("--batch", type=int, help="sequences or samples together")
    add("--prompt-tokens", type=int)
    add("--output-tokens", type=int)
    add("--cached-tokens", type=int, help="prompt tokens found in a prefix cache")
    add("--requests", type=int)
    add("--train", action="store_true", help="train instead of infer")
    add("--steps", type=int, help="optimizer steps (with --train)")
    add("--sequence-tokens", type=int, help="training sequence length (with --train)")
    add("--optimizer", help=f"{', '.join(OPTIMIZERS)} (with --train)")
    add("--weights", help="hold weights in int8, int4, fp8, mxfp4 or nvfp4")
    add("--routing", default="balanced", help="how tokens spread over experts: balanced or zipf")
    add("--stack", help="software stack: eager, compiled or serving")


INFERENCE = ("batch", "prompt_tokens", "output_tokens", "cached_tokens", "requests")
TRAINING = ("batch", "steps", "sequence_tokens", "optimizer")


def run_of(options: dict[str, Any]) -> Inference | Training | None:
    """The run that the options describe, None where they say nothing; raises `InvalidSetting` for one of the other kind."""
    mine, other = (TRAINING, INFERENCE) if options["train"] else (INFERENCE, TRAINING)
    stray = [name for name in other if name not in mine and options[name] is not None]
    if stray:
        raise InvalidSetting(f"--{stray[0].replace('_', '-')} does not go {'with' if options['train'] else 'without'} --train")
    settings = {name: options[name] for name in mine if options[name] is not None}
    kind = Training if options["train"] else Inference
    return kind(**settings) if settings or options["train"] else None


def run(given: list[str]) -> int:
    """Estimate one run and print it."""
    options = vars(_parser().parse_args(given))
    shared = {name: options[name] for name in ("stack", "weights", "routing")}
    result = estimate(options["model"], hw=options["hw"], run=run_of(options), **shared)
    if options["json"]:
        print(result.to_json())
    elif options["by"]:
        _print_rows(result.rows(options["by"]))
    else:
        print(result)
    return 0


def _print_rows(rows: list[dict]) -> None:
    print(tabulate([[row["name"], format_si(row["energy"], "J"), f"{row['share']:.2%}"] for row in rows], ["name", "energy", "share"]))
