"""What-ifs as methods of a profile: each gives a new profile, and says in `what_if` what it changed."""

from typing import Any, Self


class Changeable:
    """Gives a `Profile` its what-ifs; what they do stands in `what_if`, `scaling` and `what_if_parts`."""

    def at(self, **settings: Any) -> Self:
        """This part at other operating conditions: clock, voltage, power limit, temperature, operands, gating.

        The settings, their units and errors are those of `estimator.hardware.what_if.at`.
        """
        from estimator.hardware.what_if import at

        return at(self, **settings)  # type: ignore[arg-type, return-value]

    def on_node(self, node: str) -> Self:
        """This design made in another technology, such as `"3nm"`: `estimator.hardware.scaling.on_node`."""
        from estimator.hardware.scaling import on_node

        return on_node(self, node)  # type: ignore[arg-type, return-value]

    def with_(self, **parts: Any) -> Self:
        """A part with more or less of something, such as `sm_count` or `hbm_stacks`: `estimator.hardware.what_if_parts.with_`."""
        from estimator.hardware.what_if_parts import with_

        return with_(self, **parts)  # type: ignore[arg-type, return-value]

    def uncalibrated(self) -> Self:
        """This part as if nobody had measured it, with wide ranges: `estimator.hardware.uncalibrated.uncalibrated`."""
        from estimator.hardware.uncalibrated import uncalibrated

        return uncalibrated(self)  # type: ignore[arg-type, return-value]
