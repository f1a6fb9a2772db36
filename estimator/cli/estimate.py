"""`python -m estimator llama-3.1-8b --hw H100`: one estimate, as a table, as rows or as JSON."""

import argparse
from typing import Any

from tabulate import tabulate

from estimator.api import estimate
from estimator.cli import COMMANDS
from estimator.cli.stages import stages_of
from estimator.errors import InvalidSetting
from estimator.hardware.cluster import list_clusters
from estimator.run.diffusion import Diffusion
from estimator.run.parallel import DEGREES, Parallel
from estimator.run.pictures import PICTURES
from estimator.run.practice import list_practices
from estimator.run.serving import Serving
from estimator.run.settings import OPTIMIZERS, Inference, Training
from estimator.run.training_settings import PRECISIONS, RECOMPUTE, SCHEDULES, SHARDING, TRAINABLE, USUAL_LENGTH
from estimator.units import format_si

EXAMPLES = """examples:
  python -m estimator llama-3.1-8b --hw H100 --batch 8
  python -m estimator gpt2 --hw A100 --train --batch 8 --steps 1000
  python -m estimator llama-2-70b --hw A100 --train --tokens 2e12 --global-batch 1024 --devices 1024 --facility hyperscale
  python -m estimator llama-3.1-8b --train --devices 64 --global-batch 512 --stage tokens=1e12 --stage tokens=1e10,sequence_tokens=8192
  python -m estimator llama-3.1-70b --hw H200 --weights fp8 --by component
  python -m estimator llama-3.1-8b --hw H100 --serve --concurrency 64
  python -m estimator stable-diffusion-xl --hw A100 --diffuse --batch 4 --steps 30
  python -m estimator llama-3.1-70b --hw H100 --tensor 4 --serve --rate 5 --prompt-tokens 600 --output-tokens 400"""


def _parser() -> argparse.ArgumentParser:
    others = "\n".join(f"  {name:10} {text}" for name, text in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="python -m estimator",
        usage="python -m estimator MODEL [--hw HW] [option …]\n       python -m estimator COMMAND [--help]",
        description="Predict how many joules running a model takes, and where they go; nothing is run on real hardware.",
        epilog=f"commands:\n{others}\n\n{EXAMPLES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_run_options(parser)
    add = parser.add_argument_group("what is printed").add_argument
    add("--by", metavar="WHAT", help="only the rows of one grouping: phase, stage, component, layer, module, op, kernel, event, bound")
    add("--json", action="store_true", help="the whole estimate as JSON")
    return parser


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """What is run on what: the options that every command about one run shares; `run_of` reads them."""
    add = parser.add_argument
    add("model", metavar="MODEL", help="an architecture, such as llama-3.1-8b (`python -m estimator models` lists them), or a trace.json")
    add("--hw", default="H100", help="hardware: a name, an alias or a TOML file (default: %(default)s)")
    add("--batch", type=int, metavar="N", help="sequences or samples together (default: 1)")
    add(
        "--stack",
        metavar="NAME",
        help="software: eager, pipeline, compiled, serving … (default: serving for generation, pipeline for images, else eager)",
    )
    add("--routing", default="balanced", metavar="HOW", help="how tokens spread over experts: balanced or zipf")
    add = parser.add_argument_group("inference").add_argument
    add("--prompt-tokens", type=int, metavar="N", help=f"of each sequence (default: {Inference.prompt_tokens})")
    add("--output-tokens", type=int, metavar="N", help=f"of each sequence (default: {Inference.output_tokens})")
    add("--cached-tokens", type=int, metavar="N", help="prompt tokens found in a prefix cache (default: 0)")
    add("--requests", type=int, metavar="N", help="how often it is all repeated (default: 1)")
    add("--audio-seconds", type=float, metavar="S", help="of sound that a speech model hears, for each sample")
    _add_picture_options(add)
    add("--max-positions", type=int, metavar="N", help="of a model that was stretched to longer sequences (default: as published)")
    add("--weights", metavar="FORMAT", help="hold weights in int8, int4, fp8, mxfp4 or nvfp4 (default: as the model is)")
    add = parser.add_argument_group("serving").add_argument
    add("--serve", action="store_true", help="batch requests continuously, in the steady state")
    add("--concurrency", type=float, metavar="N", help=f"requests in flight on each replica (default: {Serving.usual_concurrency})")
    add("--rate", type=float, metavar="R", help="requests a second that arrive at all replicas, instead of --concurrency")
    add("--cached-share", type=float, metavar="S", help="share of the prompt tokens found in a prefix cache (default: 0)")
    add("--replicas", type=int, metavar="N", help="copies of the model (default: 1)")
    add = parser.add_argument_group("diffusion").add_argument
    add("--diffuse", action="store_true", help="make images or videos: with --batch, --steps, --requests and these")
    add("--height", type=int, metavar="N", help="pixels (default: what the model was made for, as of all these)")
    add("--width", type=int, metavar="N", help="pixels")
    add("--frames", type=int, metavar="N", help="of a video, made or looked at")
    add("--passes", type=int, metavar="N", help="of the denoiser in a step: 2 with guidance, 1 without")
    add = parser.add_argument_group("training").add_argument
    add("--train", action="store_true", help="train instead of infer")
    add("--steps", type=int, metavar="N", help="optimizer steps (default: 1)")
    add("--sequence-tokens", type=int, metavar="N", help=f"in training (default: {USUAL_LENGTH}, or what the model has positions for)")
    add("--epochs", type=float, metavar="N", help="passes over --samples, in place of --steps")
    add("--samples", type=int, metavar="N", help="samples of an epoch")
    add("--tokens", type=float, metavar="N", help="tokens of the whole run, in place of --steps")
    add("--global-batch", type=int, metavar="N", help="samples of one optimizer step on all devices")
    add("--precision", metavar="FORMAT", help=f"{', '.join(PRECISIONS)} (default: as the model is)")
    add("--recompute", metavar="WHAT", help=f"activations computed again: {', '.join(RECOMPUTE)} (default: none)")
    add(
        "--sequence-parallel",
        action=argparse.BooleanOptionalAction,
        help="tensor ranks share tokens (default: as the practice does)",
    )
    add("--schedule", metavar="NAME", help=f"of micro-batches in a pipeline: {', '.join(SCHEDULES)} (default: {Training.schedule})")
    add("--sharding", metavar="HOW", help=f"what replicas share: {', '.join(SHARDING)} (default: none)")
    add("--trainable", metavar="WHAT", help=f"{', '.join(TRAINABLE)} (default: all)")
    add("--rank", type=int, metavar="N", help=f"of the adapters of lora and qlora (default: {Training.rank})")
    add("--optimizer", metavar="NAME", help=f"{', '.join(OPTIMIZERS)} (default: {Training.optimizer})")
    several = "a stage, name=value,… as the options here, and name and model; once for each, with --tokens, --steps or --epochs of its own"
    add("--stage", action="append", metavar="SETTINGS", help=several)
    add("--stages", metavar="FILE", help="the same as [[stage]] tables of a TOML file")
    _add_places(parser)


def _add_places(parser: argparse.ArgumentParser) -> None:
    """On how many devices, and what stands around them."""
    add = parser.add_argument_group("many devices and what stands around them").add_argument
    add("--devices", type=int, metavar="N", help="spread a training run over as many, in the fastest layout that fits")
    for degree in DEGREES:
        add(f"--{degree}", type=int, metavar="N", help=f"degree of {degree} parallelism (default: 1)")
    add("--cluster", metavar="NAME", help=f"nodes and network: {', '.join(list_clusters())}")
    add("--practice", metavar="NAME", help=f"what training runs lose: {', '.join(list_practices())}")
    add("--facility", metavar="PLACE", help="add what stands around the devices: average, hyperscale, laboratory or wall")


def _add_picture_options(add: Any) -> None:
    add("--images", type=int, metavar="N", help="pictures, or videos of several --frames, in each prompt; also with --serve (default: 0)")
    add("--image-height", type=int, metavar="N", help=f"pixels (default: {Inference.image_height})")
    add("--image-width", type=int, metavar="N", help=f"pixels (default: {Inference.image_width})")


INFERENCE = ("batch", "prompt_tokens", "output_tokens", "cached_tokens", "requests", "audio_seconds", *PICTURES)
TRAINING = (
    "batch", "steps", "epochs", "samples", "sequence_tokens", "optimizer", "tokens", "global_batch", "precision", "recompute",
    "sequence_parallel", "schedule", "sharding", "trainable", "rank", "stage", "stages",
)  # fmt: skip
PLACES = ("devices", "cluster", "practice", "facility")
SERVING = ("concurrency", "rate", "cached_share", "replicas", "prompt_tokens", "output_tokens", "requests", *PICTURES)


DIFFUSION = ("batch", "steps", "height", "width", "frames", "passes", "requests")


def run_of(options: dict[str, Any]) -> Inference | Training | Serving | Diffusion | None:
    """The run that the options describe, None where they say nothing; raises `InvalidSetting` for one of another kind."""
    wanted = [name for name in ("serve", "train", "diffuse") if options[name]]
    if len(wanted) > 1:
        raise InvalidSetting(f"--{wanted[0]} does not go with --{wanted[1]}")
    kinds = {"train": TRAINING, "serve": SERVING, "diffuse": DIFFUSION, "": INFERENCE}
    chosen = next(name for name in kinds if not name or options[name])
    mine = kinds.pop(chosen)
    for flag, other in kinds.items():
        for name in other:
            if name not in mine and options[name] is not None:
                with_or_without = f"with --{chosen}" if chosen else f"without --{flag}"
                raise InvalidSetting(f"--{name.replace('_', '-')} does not go {with_or_without}")
    settings = {name: options[name] for name in mine if options[name] is not None}
    if chosen == "serve":
        return Serving(**{"request_rate" if name == "rate" else name: value for name, value in settings.items()})
    if several := stages_of(settings.pop("stage", None), settings.get("stages")):
        settings["stages"] = several
    kind = {"train": Training, "diffuse": Diffusion, "": Inference}[chosen]
    return kind(**settings) if settings or chosen else None


def parallel_of(options: dict[str, Any]) -> Parallel | None:
    """The layout that the options describe, None where they say nothing."""
    degrees = {name: options[name] for name in DEGREES if options[name] is not None}
    return Parallel(**degrees) if degrees else None


def run(given: list[str]) -> int:
    """Estimate one run and print it."""
    options = vars(_parser().parse_args(given))
    shared = {name: options[name] for name in ("stack", "weights", "routing", "max_positions", *PLACES)}
    shared |= {"parallel": parallel_of(options)}
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
