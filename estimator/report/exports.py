"""The longer views of an estimate, as methods of `Estimate`: a page, a flame graph, one chain explained, the energy as algebra.

Each is worked out in a file of its own, which is loaded when it is first asked for.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from estimator.report.estimate import Estimate
    from estimator.report.formula import Formula


class Exports:
    """What `Estimate` inherits. Holds no data."""

    __slots__ = ()

    def to_html(self: "Estimate", path: str | Path) -> None:  # type: ignore[misc]
        """Write the estimate as one page that needs nothing else: tables, flame graph, explanation, assumptions and sources."""
        from estimator.report.page import page

        Path(path).write_text(page(self), encoding="utf-8")

    def save_flame(self: "Estimate", path: str | Path) -> None:  # type: ignore[misc]
        """Write a flame graph, phase → layer → kernel → component with widths in joules, as `.svg` or `.html`; no script in it.

        Raises `InvalidSetting` for another suffix.
        """
        from estimator.report.flame_svg import save

        save(self, path)

    def explain(self: "Estimate") -> str:  # type: ignore[misc]
        """The kernel that takes most energy, followed from its FLOP and bytes to events, C · V², clock, time and joules, as text."""
        from estimator.report.explain import explain

        return explain(self)

    def formula(self: "Estimate") -> "Formula":  # type: ignore[misc]
        """The energy as a SymPy expression in the voltage, clock and temperature of each phase, with their values.

        Raises `EstimatorError` for an estimate that was read from JSON.
        """
        from estimator.report.formula import formula

        return formula(self)
