"""On-chip wires: how far a bit travels and what that costs."""

from estimator.quantity import Numeric
from estimator.transistor.switching import RANDOM_BIT_ACTIVITY, wire_energy

__all__ = ["bits_energy", "mean_distance", "wire_energy"]


def mean_distance(area: Numeric) -> Numeric:
    """Mean rectilinear distance in m between two random points of a square of `area` (m²): ⅔ of its side.

    Along each axis the mean distance of two uniform points on a unit length is ∫∫ |x - y| dx dy = ⅓.
    """
    return 2 / 3 * area ** (1 / 2)  # exact: twice one third


def bits_energy(
    bits: Numeric, length: Numeric, voltage: Numeric, *, capacitance_per_length: Numeric, activity: Numeric = RANDOM_BIT_ACTIVITY
) -> Numeric:
    """Energy in J of `bits` sent over `length` (m) of wire; random bits switch ¼ of the time."""
    return bits * wire_energy(length, voltage, capacitance_per_length=capacitance_per_length, activity=activity)
