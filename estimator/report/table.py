"""The report as text: the answer first, then where the joules go, then what was assumed. `html.py` shows the same."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from textwrap import fill
from typing import TYPE_CHECKING, Any

from tabulate import tabulate

from estimator.errors import WARNING
from estimator.report.cuts import NAMES, Table, tables
from estimator.report.interval import contributors, figures, spread
from estimator.run.diffusion import Diffusion
from estimator.run.serving import Serving
from estimator.run.settings import Inference, Training, describe
from estimator.units import SECONDS_PER_HOUR, format_si

if TYPE_CHECKING:
    from estimator.report.estimate import Estimate

WIDTH = 100  # exact: columns of running text
AMOUNTS = ("batch", "prompt_tokens", "output_tokens", "cached_tokens", "requests", "sequence_tokens", "optimizer", "steps")


def render(estimate: "Estimate") -> str:
    """All parts of the report, separated by blank lines."""
    first, *rest = (_text(table) for table in tables(estimate))
    parts = [heading(estimate), _wrapped(warnings(estimate)), f"{first}\n{capped(estimate)}".rstrip(), *rest, _wrapped(notes(estimate))]
    return "\n\n".join(part for part in parts if part)


def _text(table: Table) -> str:
    align = ["left" if title in NAMES else "right" for title in table.columns]
    return tabulate(table.cells(), list(table.columns), disable_numparse=True, colalign=align)


def _wrapped(lines: list[str]) -> str:
    return "\n".join(fill(line, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False) for line in lines)


def heading(estimate: "Estimate") -> str:
    """Model, hardware, run and the headline figures."""
    lines = [
        f"{estimate.model} on {estimate.hardware}",
        _wrapped([f"{estimate.run['kind']}({_settings(estimate.run, len(estimate.stages))}), stack {estimate.stack}"]),
        f"energy {format_si(estimate.energy, 'J')} ({_aside(estimate)})"
        f" · time {format_si(estimate.time, 's')} · mean power {format_si(estimate.power, 'W')}",
    ]
    per = {"tokens": "token", "samples": "sample", "steps": "step"}
    counted = [
        f"{format_si(estimate.energy / getattr(estimate, many), 'J')} per {one}" for many, one in per.items() if getattr(estimate, many)
    ]
    said = [*lines, " · ".join(counted), service(estimate), _wrapped([around(estimate)]), _wrapped([contributors(estimate)])]
    return "\n".join(line for line in said if line)


def _settings(run: Mapping[str, Any], stages: int) -> str:
    """What says how much is run, where that is not told stage by stage, and what is not as usual."""
    kinds = {kind.__name__: kind for kind in (Inference, Training, Serving, Diffusion)}
    usual = describe(kinds[run["kind"]]()) if run["kind"] in kinds else {}
    always = () if stages else AMOUNTS
    shown = {name: value for name, value in run.items() if value is not None and (name in always or value != usual.get(name))}
    shown |= {"stages": stages} if stages else {}
    return ", ".join(f"{name}={value}" for name, value in shown.items() if name != "kind")


def service(estimate: "Estimate") -> str:
    """What callers of a served model notice; empty for other runs."""
    if not estimate.service:
        return ""
    given = estimate.service
    times = [
        f"{title} {format_si(given[f'{name}_p50'], 's')} (p99 {format_si(given[f'{name}_p99'], 's')})"
        for title, name in (("first token", "time_to_first_token"), ("between tokens", "inter_token_latency"))
    ]
    joules = [f"{format_si(given[f'energy_per_{one}_token'], 'J')} per {one} token" for one in ("output", "prompt")]
    first = [
        f"{given['in_flight']:.3g} in flight", f"{given['requests_per_second']:.3g} requests/s",
        f"{given['output_tokens_per_second']:.4g} tokens/s", *times,
    ]  # fmt: skip
    return " · ".join(first) + "\n" + " · ".join([*joules, f"{format_si(given['energy_per_1000_requests'], 'J')} per 1000 requests"])


def around(estimate: "Estimate") -> str:
    """MFU of training, and what the run takes at the meter; empty where neither is known."""
    lines = [] if estimate.mfu is None else [f"MFU {estimate.mfu:.1%} of {_devices(estimate)}"]
    if estimate.facility:
        lines.append("at the meter " + ", ".join(_metered(estimate)))
        lines.append(contributors(estimate, "facility.energy").replace("uncertain", "uncertain there"))
    return " · ".join(line for line in lines if line)


def _devices(estimate: "Estimate") -> str:
    fewest = min([one.devices for one in estimate.stages.values()] or [estimate.devices])
    least = f"{fewest} to " if fewest < estimate.devices else ""
    return f"{least}{estimate.devices} device{'s' * (estimate.devices > 1)}"


def _metered(estimate: "Estimate") -> Iterator[str]:
    """Each figure at the meter with its interval."""
    values = figures(estimate)
    for name, (form, what) in METERED.items():
        hours = format_si(values[name] / SECONDS_PER_HOUR, "Wh") if name == "facility.energy" else ""
        aside = "; ".join(text for text in (spread(estimate, name, form), hours) if text)
        yield f"{form(values[name])}{what}{f' ({aside})' if aside else ''}"


def _dollars(cost: float) -> str:
    """Three digits, or cents where those are more; two below a dollar."""
    if cost < 1:
        return f"${cost:.2g}"
    return f"${float(f'{cost:.3g}'):,.0f}" if cost >= 100 else f"${cost:,.2f}"  # exact: from here on cents say more than is known


METERED: dict[str, tuple[Callable[[float], str], str]] = {
    "facility.energy": (lambda joules: format_si(joules, "J"), ""),
    "facility.co2e_kg": (lambda kilograms: f"{kilograms:,.3g} kg", " CO2e"),
    "facility.water_l": (lambda litres: format_si(litres, "L"), " of water"),
    "facility.cost": (_dollars, " of electricity"),
}


def _aside(estimate: "Estimate") -> str:
    hours = format_si(estimate.energy / SECONDS_PER_HOUR, "Wh")
    return "; ".join(text for text in (spread(estimate), hours) if text)


def capped(estimate: "Estimate") -> str:
    """What the star of a phase means; empty if no phase meets the power cap."""
    points = [phase.point for phase in estimate.phases if phase.point.capped]
    if not points:
        return ""
    how = "and the chip pauses " if any(point.stretch > 1 for point in points) else ""
    return f"* at the power cap: the clock is lowered {how}until the mean is {format_si(max(point.power for point in points), 'W')}"


def warnings(estimate: "Estimate") -> list[str]:
    """What may make the answer wrong: operations that were only guessed, and runs that do not fit."""
    unknown = ", ".join(f"{operation} ×{count}" for operation, count in (estimate.coverage or {}).items())
    missed = [f"{WARNING}operations without a rule, counted as one vector FLOP per output element: {unknown}"] if unknown else []
    return [*missed, *(text for text in estimate.assumptions if text.startswith(WARNING))]


def notes(estimate: "Estimate") -> list[str]:
    """Coverage, assumptions and a count of the sources."""
    lines = [] if estimate.coverage else ["every operation was counted"]
    lines += [f"assumed: {text}" for text in estimate.assumptions if not text.startswith(WARNING)]
    by_status = Counter(number.status for number in estimate.numbers)
    counts = ", ".join(f"{count} {status}" for status, count in sorted(by_status.items()))
    return [*lines, f"numbers used: {counts}; see .sources()"] if counts else lines
