"""Regenerates bundled architectures: `python -m estimator.model.build [NAME …] [--out FOLDER]`; without names, all of them."""

import argparse
import json
import time
from pathlib import Path

import transformers

from estimator.errors import EstimatorError
from estimator.model.architecture import BUNDLED, INDEX
from estimator.model.build import bundled_architecture, pipelines, zoo
from estimator.model.build.assemble import bundled_variant
from estimator.model.build.diffusion import diffusion_architecture
from estimator.units import format_si


def main() -> int:
    """Build, write and index; exit status 1 if any model could not be built."""
    parser = argparse.ArgumentParser(prog="python -m estimator.model.build", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="models of estimator/model/configs; all where none is given")
    parser.add_argument("--out", type=Path, default=BUNDLED, help="folder to write to")
    options = parser.parse_args()
    transformers.utils.logging.set_verbosity_error()
    options.out.mkdir(parents=True, exist_ok=True)
    failures = [name for name in options.names or (*zoo.entries(), *pipelines.names()) if not _write(name, options.out)]
    (options.out / INDEX).write_text(json.dumps(index(options.out), indent=0, sort_keys=True) + "\n", encoding="utf-8")
    return 1 if failures else 0


def _write(name: str, folder: Path) -> bool:
    start = time.perf_counter()
    try:
        text = _text(name)
    except EstimatorError as error:
        print(f"{name}: {error}", flush=True)
        return False
    (folder / f"{name}.json").write_text(text, encoding="utf-8")
    print(f"{name}: {format_si(len(text), 'B')} in {time.perf_counter() - start:.0f} s", flush=True)
    return True


def _text(name: str) -> str:
    """The bundled file of a model; that of one with another one's sizes or parts only says so."""
    made, variant = bundled_architecture, None
    if name in pipelines.names():
        made, variant = diffusion_architecture, pipelines.pipeline(name).variant
    else:
        variant = bundled_variant(name)
    return made(name).to_json() if variant is None else json.dumps(variant, ensure_ascii=False) + "\n"


def index(folder: Path) -> dict[str, str]:
    """Every name and alias with the file that it stands for."""
    names: dict[str, str] = {}
    for path in sorted(folder.glob("*.json")):
        if path.name != INDEX:
            data = json.loads(path.read_text(encoding="utf-8"))
            names |= dict.fromkeys((data["name"], *data["aliases"]), path.stem)
    return names


if __name__ == "__main__":
    raise SystemExit(main())
