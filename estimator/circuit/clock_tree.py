"""The clock: the one net that switches in every cycle, and the flip-flops that hang on it."""

from estimator.quantity import Numeric


def clock_power(
    grid_capacitance: Numeric,
    flip_flops: Numeric,
    flip_flop_capacitance: Numeric,
    voltage: Numeric,
    frequency: Numeric,
    *,
    clocked_share: Numeric = 1,
) -> Numeric:
    """Power in W of a clock: C_grid V² f + a N C_ff V² f.

    The global grid (`grid_capacitance`, F) never stops while the clock runs; of the `flip_flops` only the `clocked_share` a
    is, since gating stops the branches of idle units. A clock node makes one full 0→1→0 cycle per period, so its activity is 1.
    Weste and Harris, CMOS VLSI Design, 4th edition, section 5.2.
    """
    return (grid_capacitance + clocked_share * flip_flops * flip_flop_capacitance) * voltage**2 * frequency
