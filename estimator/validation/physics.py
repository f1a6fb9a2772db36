"""`python -m estimator check physics`: bottom-up energies of every node beside the published ones, as a table."""

from tabulate import tabulate

from estimator.circuit.bottom_up import Figure, figures
from estimator.units import format_si

COLUMNS = ["node", "energy of", "at", "predicted", "published", "error"]
SILICON = "multiply-add in silicon"  # whole datapaths: they inform, no bound is asked of them
ARITHMETIC_RMS, MEMORY_FACTOR = 0.13, 2.5  # exact: bounds of the comparison, not facts


def report() -> tuple[str, bool]:
    """The table, with the error where a figure was published, and whether arithmetic, memory and wires keep their bounds."""
    found = figures()
    told = [figure for figure in found if figure.error is not None]
    operations = [figure for figure in told if figure.what.split()[-1] in ("add", "multiply")]
    others = [figure for figure in told if figure not in operations and SILICON not in figure.what]
    rms = (sum((figure.error or 0) ** 2 for figure in operations) / len(operations)) ** (1 / 2)
    worst = max(max(1 + (figure.error or 0), 1 / (1 + (figure.error or 0))) for figure in others)
    table = tabulate(
        [_line(figure) for figure in found], ["node", "energy of", "at", "predicted", "published", "error"], disable_numparse=True
    )
    lines = [
        table,
        "",
        f"arithmetic: rms error {rms:.1%} over {len(operations)} published operations (bound {ARITHMETIC_RMS:.0%})",
        f"SRAM and wires: within a factor of {worst:.2f} of {len(others)} published figures (bound {MEMORY_FACTOR:g})",
        "Energies are full adders, array and wire capacitance × V² of the node; nothing here comes from a GPU.",
    ]
    return "\n".join(lines), rms <= ARITHMETIC_RMS and worst <= MEMORY_FACTOR


def _line(figure: Figure) -> list[str]:
    published = "" if figure.published is None else format_si(figure.published, "J")
    error = "" if figure.error is None else f"{figure.error:+.0%}"
    return [figure.node, figure.what, f"{figure.voltage:.3g} V", format_si(figure.predicted, "J"), published, error]
