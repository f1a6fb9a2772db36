"""The floor under every switching energy: forgetting one bit.

Erasing a bit halves the states that it may be in, so entropy k ln 2 has to leave as heat. Landauer, IBM J. Res. Dev. 5(3), 1961.
"""

from estimator.quantity import Numeric
from estimator.transistor.constants import BOLTZMANN, LN_2


def landauer_limit(temperature: Numeric, bits: Numeric = 1) -> Numeric:
    """Least energy in J to erase `bits` at `temperature` (K): N · kT · ln 2, 2.87e-21 J per bit at 300 K."""
    return bits * BOLTZMANN * temperature * LN_2
