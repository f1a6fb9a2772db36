"""A DRAM bit: its share of opening a row, the way through the die, the interface; and refresh.

DRAM has its own supply, so none of this follows the voltage of the processor. Source of the structure: O'Connor et al.,
Fine-grained DRAM, MICRO 2017.
"""

from estimator.quantity import Numeric


def activation_energy_per_bit(row_energy: Numeric, row_bits: Numeric, used_share: Numeric) -> Numeric:
    """Energy in J per bit of opening a row of `row_bits` for `row_energy` (J) when only `used_share` of it is then read."""
    return row_energy / (row_bits * used_share)


def access_energy_per_bit(activation: Numeric, movement: Numeric, interface: Numeric) -> Numeric:
    """Energy in J to bring one bit to the pins: row activation, movement on the die, interface (all J/bit)."""
    return activation + movement + interface


def refresh_power(bits: Numeric, row_energy: Numeric, row_bits: Numeric, interval: Numeric) -> Numeric:
    """Power in W of opening every row of `bits` once per `interval` (s) so that its cells keep their charge."""
    return bits / row_bits * row_energy / interval
