"""The chain from model to transistor for one kernel, as text that teaches. `explain_chain.py` gathers the figures."""

from collections.abc import Sequence
from textwrap import fill
from typing import TYPE_CHECKING

from tabulate import tabulate

from estimator.report.cuts import share_text
from estimator.report.explain_chain import Chain, chain_of
from estimator.report.flame import span
from estimator.run.entry import BOARD, HOST, IDLE_MEMORY, LEAKAGE, REGULATORS
from estimator.units import KELVIN_AT_ZERO_CELSIUS, format_si

if TYPE_CHECKING:
    from estimator.report.estimate import Estimate, Source

WIDTH = 110  # exact: columns of running text
DIGITS = 4  # exact: digits shown of what is added up
ALIKE = 1e-9  # exact: two figures that differ only by rounding
THROUGH = {
    "register": "through the registers", "shared": "through shared memory", "l2": "through L2",
    "memory": "from or to off-chip memory", "link": "over the link",
}  # fmt: skip
BOUNDS = {
    "memory": "off-chip memory, which takes longest to move the bytes",
    "L2": "L2, which takes longest to fetch the bytes from memory or to hand them to the multiprocessors",
    "tensor": "the tensor units, which take longest to multiply",
    "vector": "the vector units, which take longest to compute",
    "special": "the special-function units, which take longest to compute",
    "shared": "shared memory, in which operands are turned for the matrix instruction",
    "link": "the link to other devices",
    "launch": "launching and filling the chip, more than any work inside the kernel",
    HOST: "the host, for which the device waits",
}


def explain(estimate: "Estimate") -> str:
    """The text; see `Estimate.explain`."""
    chain = chain_of(estimate)
    notes = Footnotes(estimate)
    parts = [
        _work(estimate, chain),
        _clock(chain, notes),
        _time(chain, notes),
        _events(chain, notes),
        _flows(chain, notes),
        _sum(estimate, chain),
    ]
    title = f"{estimate.model} on {estimate.hardware}: {_j(estimate.energy)}, followed from the model to the transistor"
    return "\n\n".join([title, *(f"{number}. {text}" for number, text in enumerate(parts, 1)), notes.text()])


class Footnotes:
    """Numbers in the order in which the text refers to them, with their sources at its end."""

    def __init__(self, estimate: "Estimate") -> None:
        self.known = {number.name: number for number in estimate.numbers}
        self.told: list[str] = []

    def mark(self, path: str) -> str:
        """` [3]` for a number of the hardware, or nothing where the estimate does not list it."""
        if (name := f"hardware.{path}") not in self.known:
            return ""
        if name not in self.told:
            self.told.append(name)
        return f" [{self.told.index(name) + 1}]"

    def text(self) -> str:
        """One paragraph a number: value, range, status and source."""
        lines = [f"[{index}] {_told(self.known[name])}" for index, name in enumerate(self.told, 1)]
        return "\n".join(["Where the numbers come from", *(_wrap(line, "    ") for line in lines)])


def _told(number: "Source") -> str:
    figures = (number.value, number.low, number.high)
    value, low, high = (f"{one:.4g}" if number.unit == "1" else format_si(one, number.unit) for one in figures)
    spread = "" if number.low == number.high else f" ({low} to {high})"
    return f"{number.name.partition('.')[2]} = {value}{spread}, {number.status}: {number.source or 'no source stated'}"


def _work(estimate: "Estimate", chain: Chain) -> str:
    entry, launches = chain.entry, sum(one.launches for one in chain.same)
    layers = f" (layers {span(entry.layers)})" if entry.layers else ""
    where = f" in {entry.module}{layers}" if entry.module else ""
    when = chain.phase.name + (f", the largest part in stage {chain.phase.stage}" if chain.phase.stage else "")
    head = f"`{entry.name}`{where} takes more energy than any other kernel of this run: {_times(launches)} in the phase {when}."
    moved = {level: amount for level, amount in chain.traffic.items() if amount}
    if not chain.flop and not moved:
        return _section("The work", head + " It computes nothing and moves nothing; the device waits.")
    told = ", ".join(f"{format_si(amount, 'B')} {THROUGH.get(level, level)}" for level, amount in moved.items())
    text = f" One launch computes {format_si(chain.flop, 'FLOP')} and moves {told or 'nothing'}"
    beyond = moved.get("memory", 0.0)
    ratio = f": {chain.flop / beyond:.3g} FLOP for each byte of off-chip memory" if beyond and chain.flop else ""
    return _section("The work", f"{head}{text}{ratio}.")


def _clock(chain: Chain, notes: Footnotes) -> str:
    point = chain.phase.point
    state = f"The core runs at {format_si(point.clock, 'Hz')}, for which it needs {format_si(point.voltage, 'V', DIGITS)}"
    warm = f"its junction is at {point.temperature - KELVIN_AT_ZERO_CELSIUS:.0f} °C"
    boost, cap = notes.mark("clock.boost"), notes.mark("power.limit")
    mean = f"the mean power of the phase, {format_si(point.power, 'W')},"
    if point.capped:
        why = (
            f"At its highest clock{boost} the chip would exceed the power cap{cap} or its highest temperature{notes.mark('thermal.limit')},"
            f" so the clock, and the voltage with it, is lowered until {mean} keeps both."
        )
        pause = f" Even the lowest clock is too much: the chip also pauses, which makes all times {point.stretch:.3g} times longer."
        peaks = " The limiter answers to peaks, so the mean stays below the cap where kernels differ." if _answers_to_peaks(chain) else ""
        return _section("The clock", f"{state}; {warm}. {why}{peaks}{pause if point.stretch > 1 else ''}")
    why = f"That is the highest clock allowed{boost}: {mean} keeps the power cap{cap}."
    return _section("The clock", f"{state}; {warm}. {why}")


def _answers_to_peaks(chain: Chain) -> bool:
    basis = chain.phase.basis
    return basis is not None and basis.profile.power.limiter_response is not None


def _time(chain: Chain, notes: Footnotes) -> str:
    text = f"One launch takes {format_si(chain.seconds, 's', DIGITS)}. What sets it is {BOUNDS.get(chain.entry.bound, chain.entry.bound)}."
    if chain.duration is None or chain.entry.kind == HOST:
        return _section("The time", text)
    found, point = chain.duration, chain.phase.point
    lines = [
        (what, format_si(seconds, "s", DIGITS))
        for what, seconds in (
            (f"{found.core_resource}: {found.cycles:,.0f} clock cycles / {format_si(point.clock, 'Hz')}", found.cycles / point.clock),
            (_moved("memory", chain, found.memory_seconds) + notes.mark("memory.bandwidth"), found.memory_seconds),
            (_moved("link", chain, found.link_seconds), found.link_seconds),
        )
        if seconds
    ]
    longest = found.execution(point.clock)
    ending = f"{format_si(longest, 's', DIGITS)} (the longest) + {format_si(found.overhead, 's')} to fill and drain the chip"
    running = f"{ending} = {format_si(found.running(point.clock), 's', DIGITS)}"
    if found.interval > found.running(point.clock):
        running += f"; but the host launches one only every {format_si(found.interval, 's', DIGITS)}"
    if point.stretch > 1:
        running += f"; × {point.stretch:.4g} for the pauses"
    return _section("The time", text, _table(lines), running)


def _moved(level: str, chain: Chain, seconds: float) -> str:
    """`memory: 235 MB / 3.05 TB/s`, the rate being what this kernel achieves."""
    amount = chain.traffic.get(level, 0.0)
    return f"{level}: {format_si(amount, 'B')} / {format_si(amount / seconds, 'B/s')} achieved" if seconds and amount else f"{level}: steps"


def _events(chain: Chain, notes: Footnotes) -> str:
    volt = format_si(chain.phase.point.voltage, "V", DIGITS)
    text = (
        f"Charging and discharging a capacitance C once takes C · V² from the supply, here with V = {volt}. The work is so many such "
        "events; memory and links have supplies of their own, so their bits have a fixed energy."
    )
    if any(event.event == "clock_cycle" and event.capacitance for event in chain.events):
        text += f" The clock tree's C is that of one transistor times all that have power{notes.mark('die.transistors')}."
    rows = []
    for event in chain.events:
        mark = notes.mark(event.number.name.partition(".")[2]) if event.number else ""
        each = f"C V² = {format_si(event.each, 'J')}" if event.capacitance is not None else f"{format_si(event.each, 'J')}"
        if abs(event.lively - 1) > ALIKE:
            each += f" (× {event.lively:.3g}: what operands toggle)"
        capacitance = "" if event.capacitance is None else format_si(event.capacitance, "F")
        rows.append(
            (event.component, event.event, f"{event.count:.4g}", f"{capacitance}{mark}", each, format_si(event.joules, "J", DIGITS))
        )
    heads = ("component", "event", "how many", "C", "each", "together")
    total = f"events together: {_j(sum(event.joules for event in chain.events))}"
    return _section("From work to switching events to joules", text, _table(rows, heads), total)


def _flows(chain: Chain, notes: Footnotes) -> str:
    text = f"For {format_si(chain.seconds, 's', DIGITS)} these flow whatever is computed:"
    told = {
        LEAKAGE: "through transistors that are switched off" + notes.mark("process.leakage"),
        IDLE_MEMORY: "refresh and interface of the memory" + notes.mark("memory.clocked_power") + notes.mark("memory.idle_power"),
        REGULATORS: "lost in turning the supply into all of the above" + notes.mark("power.regulator_efficiency"),
        BOARD: "the board around the chip" + notes.mark("power.board"),
    }
    rows = []
    for component, joules in chain.flows.items():
        watts = f"{format_si(joules / chain.seconds, 'W', DIGITS)}" if chain.seconds else ""
        rows.append((component, watts, format_si(joules, "J", DIGITS), told.get(component, "")))
    return _section("What flows anyway", text, _table(rows, ("component", "mean power", "joules", "what it is")))


def _sum(estimate: "Estimate", chain: Chain) -> str:
    amounts: dict[str, float] = {}
    for name, joules in [*((event.component, event.joules) for event in chain.events), *chain.flows.items()]:
        amounts[name] = amounts.get(name, 0.0) + joules
    everywhere = {row["name"]: row["share"] for row in estimate.rows("component")}
    ranked = sorted(amounts.items(), key=lambda pair: -pair[1])
    rows = [(name, _j(joules), share_text(joules / chain.joules), share_text(everywhere[name])) for name, joules in ranked]
    rows.append(("one launch", _j(chain.joules), share_text(1), ""))
    followed, kernel = chain.joules * chain.entry.launches, sum(joules for one in chain.same for joules in one.energy.values())
    many = f"{_j(chain.joules)} × {_times(chain.entry.launches)} = {_j(followed)}"
    rest = sum(one.launches for one in chain.same) - chain.entry.launches
    if len(chain.same) > 1:
        many += f"; with {_j(kernel - followed)} of {_times(rest)} at other sizes or temperatures {_j(kernel)}"
    share = f"{kernel / estimate.energy:.1%} of all {_j(estimate.energy)}"
    return _section("The sum", "", _table(rows, ("component", "joules", "share", "in the whole run")), f"{many}: {share}.")


def _section(title: str, *parts: str) -> str:
    return "\n".join([title, *(part if "\n" in part else _wrap(f"   {part}", "   ") for part in parts if part)])


def _table(rows: Sequence[tuple[str, ...]], heads: tuple[str, ...] = ()) -> str:
    right = {"how many", "together", "joules", "share", "in the whole run", "mean power"}
    align = ["right" if head in right else "left" for head in heads] or None
    text = tabulate(rows, heads, tablefmt="simple" if heads else "plain", disable_numparse=True, colalign=align if rows else None)
    return "\n".join(f"   {line}".rstrip() for line in text.splitlines())


def _wrap(text: str, indent: str) -> str:
    return fill(text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _times(launches: float) -> str:
    return "1 launch" if launches == 1 else f"{launches:,.0f} launches"


def _j(joules: float) -> str:
    return format_si(joules, "J", DIGITS)
