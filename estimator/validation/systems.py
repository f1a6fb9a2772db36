"""Suite "systems": power at the wall of whole servers, at rest and while they answer queries."""

import tomllib
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from estimator.hardware.host import load_host
from estimator.model.architecture import load_architecture
from estimator.model.work import Kernel
from estimator.run.convolution import with_relayouts
from estimator.run.entry import Asked
from estimator.run.facility import Facility
from estimator.run.formats import multiplies
from estimator.run.meter import Meter, meter_of
from estimator.run.phase import asked, host_gaps, price_asked, repeated
from estimator.run.precision import in_precision
from estimator.run.stack import Stack, load_stack
from estimator.validation.chip import idle_with_context
from estimator.validation.hardware import current, limited, profile_name, profile_of
from estimator.validation.metered import Metered, Standing
from estimator.validation.rows import NotPredicted, Row

NARROW = ("int8", "fp8")
HELD = "fp16"
FOLDED = ("pointwise", "reduction")  # TensorRT computes norms, activations and sums in the convolution before them


@cache
def facts() -> dict[str, Any]:
    """The tables of systems.toml."""
    return tomllib.loads(Path(__file__).with_name("systems.toml").read_text(encoding="utf-8"))


def offline(row: Row) -> Metered:
    """Queries answered as fast as the server can, every device with batches of its own; joules of the wall for each."""
    known, task = facts()["inference"], row.text("task").split("-")[0]
    if task not in known or row.text("scenario") not in ("Offline", ""):
        raise NotPredicted(f"no definition of the benchmark {row.text('task')!r} in scenario {row.text('scenario')!r}")
    how, devices = known[task], row.whole("n_gpus")
    cap, server = submitted(row)
    profile = profile_of(row) if cap is None else limited(profile_of(row), cap)
    model, stack = load_architecture(how["model"]), load_stack("compiled")
    program = model.programs["forward"]
    batch = how["batch"].get(profile_name(row.text("hardware")), how["batch"]["usual"])
    sizes = {"batch": batch, "sequence": max(round(how.get("sequence", 1) * how.get("filled", 1)), 1)}
    kernels = in_precision(program.at("fused", **{symbol: sizes[symbol] for symbol in program.symbols}), HELD)
    narrow = next((form for form in NARROW if form in row.text("precision").lower() and multiplies(form, profile)), "")
    kept = [kernel for kernel in kernels if model.kind != "vision" or kernel.kind not in FOLDED]
    items = [_narrowed(one, narrow, profile, stack) for kernel in kept for one in with_relayouts(kernel, profile, stack)]
    phases = [price_asked("forward", items, profile, stack), host_gaps(profile, stack, steps=1)]
    every = tuple(repeated(phase, 1, devices) for phase in phases)
    around = replace(meter_of(profile, devices, Facility(place="wall", host=server)), whole=True, feeding=False)
    return Metered(every, profile, float(batch * devices), devices, around)


def submitted(row: Row) -> tuple[float | None, str | None]:
    """Of the system that a row names: the power limit in W that its submitter set, and the bundled server most like it; None: the usual."""
    name, task, edition = row.text("hardware").partition("(")[2], row.text("task"), row.text("source").rpartition(" ")[2]
    settings: dict[str, Any] = next((table for key, table in facts()["cap"].items() if name.startswith(key)), {})
    limit = settings.get(task, settings.get(task.split("-")[0], {})).get(edition)
    return limit, next((host for key, host in facts()["server"].items() if key in name), None)


def _narrowed(kernel: Kernel, narrow: str, profile: Any, stack: Stack) -> Asked:
    """A kernel whose tensors are held, and whose products are computed, in eight bits in place of sixteen."""
    one = asked(kernel, profile, stack)
    if not narrow:
        return one
    demand = replace(one.demand, memory_bytes=one.demand.memory_bytes / 2, l2_bytes=one.demand.l2_bytes / 2)
    return replace(one, demand=replace(demand, mac_format=narrow, unit="tensor") if demand.macs else demand)


def host(row: Row) -> Standing:
    """Power of a server, or of its processors, as the row's task says."""
    hardware, task = row.text("hardware").lower(), row.text("task").lower()
    known = {name: table for name, table in facts()["host"].items() if isinstance(table, dict) and name in hardware}
    if not known:
        raise NotPredicted(f"no bundled server is like {row.text('hardware')!r}")
    table = known[max(known, key=len)]
    busy, profile, server = "cpu packages" in task, current(table["device"]), load_host(table["host"])
    count = int(server.accelerators) if busy else row.whole("n_gpus")
    around = Meter(server, Facility(place="wall"), count, feeding=busy, whole=True)
    found = around.read(count * idle_with_context(profile).power, 1.0)
    if busy:
        return Standing(found.parts["processors"], devices=profile, around=around, parts=("processors",))
    if "idle-ish" in task:
        return Standing(found.wall, devices=profile, around=around)
    raise NotPredicted(f"what {row.text('task')!r} ran is not stated, or is a row of another file")
