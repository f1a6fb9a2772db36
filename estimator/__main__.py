"""Command line: `python -m estimator llama-3.1-8b --hw H100`, `… profiles`, `… models`, `… check`."""

import argparse
import sys
from collections.abc import Sequence

from estimator.errors import EstimatorError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code. Errors of the estimator print as one message, without a traceback."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    commands = {"profiles": _profiles, "models": _models, "check": _check}
    try:
        if given and given[0] in commands:
            return commands[given[0]](given[1:])
        return _estimate(given)
    except EstimatorError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m estimator", description=__doc__, epilog="`models` and `profiles` list the known names."
    )
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
    add("--optimizer", help="sgd, momentum, adam or adamw (with --train)")
    add("--stack", help="software stack: eager, compiled or serving")
    add("--by", help="print only the rows of one grouping: phase, component, layer, module, op, kernel, event, bound")
    add("--json", action="store_true", help="print the whole estimate as JSON")
    return parser


INFERENCE = ("batch", "prompt_tokens", "output_tokens", "cached_tokens", "requests")
TRAINING = ("batch", "steps", "sequence_tokens", "optimizer")


def _estimate(given: list[str]) -> int:
    from estimator.api import estimate
    from estimator.errors import InvalidSetting
    from estimator.run.settings import Inference, Training

    options = vars(_parser().parse_args(given))
    mine, other = (TRAINING, INFERENCE) if options["train"] else (INFERENCE, TRAINING)
    stray = [name for name in other if name not in mine and options[name] is not None]
    if stray:
        raise InvalidSetting(f"--{stray[0].replace('_', '-')} does not go {'with' if options['train'] else 'without'} --train")
    settings = {name: options[name] for name in mine if options[name] is not None}
    kind = Training if options["train"] else Inference
    run = kind(**settings) if settings or options["train"] else None
    result = estimate(options["model"], hw=options["hw"], run=run, stack=options["stack"])
    if options["json"]:
        print(result.to_json())
    elif options["by"]:
        _print_rows(result.rows(options["by"]))
    else:
        print(result)
    return 0


def _print_rows(rows: list[dict]) -> None:
    from tabulate import tabulate

    from estimator.units import format_si

    print(tabulate([[row["name"], format_si(row["energy"], "J"), f"{row['share']:.2%}"] for row in rows], ["name", "energy", "share"]))


def _profiles(given: list[str]) -> int:
    argparse.ArgumentParser(prog="python -m estimator profiles", description="List the hardware profiles.").parse_args(given)
    from tabulate import tabulate

    from estimator.hardware.catalogue import list_profiles, load_profile
    from estimator.units import format_si

    rows = []
    for name in list_profiles():
        part = load_profile(name)
        memory = f"{format_si(part.memory.capacity, 'B')} {part.memory.kind} {format_si(part.memory.bandwidth, 'B/s')}"
        rows.append([name, part.name, part.process.name, format_si(part.power.limit, "W"), memory, ", ".join(part.aliases[:3])])
    print(tabulate(rows, ["name", "part", "process", "limit", "memory", "aliases"]))
    return 0


def _models(given: list[str]) -> int:
    argparse.ArgumentParser(prog="python -m estimator models", description="List the bundled architectures.").parse_args(given)
    from tabulate import tabulate

    from estimator.model.architecture import list_models, load_architecture
    from estimator.units import format_si

    models = [load_architecture(name) for name in list_models()]
    print(
        tabulate(
            [[m.name, m.kind, format_si(m.parameters, ""), m.format, m.source] for m in models],
            ["name", "kind", "parameters", "format", "source"],
        )
    )
    return 0


def _check(given: list[str]) -> int:
    argparse.ArgumentParser(prog="python -m estimator check", description="Print sanity checks against published figures.").parse_args(
        given
    )
    from estimator.validation.check import report

    text, passed = report()
    print(text)
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
