"""How fast transistors switch, hence which clock a voltage allows and which voltage a clock needs.

A gate's delay is the charge C·V over the drive current, and the current of a short transistor grows as (V - Vt)^a with a
between 1 (velocity saturated) and 2 (long channel): f = K (V - Vt)^a / V. Source: Sakurai and Newton, JSSC 25(2), 1990.
"""

from estimator.errors import Infeasible
from estimator.quantity import Numeric
from estimator.units import format_si, require_non_negative

STEPS = 50  # exact: more than quadratic convergence ever needs
ROUNDING = 1e-12  # exact: a clock computed from the ceiling itself must not fail by its last digit


def drive_current(voltage: Numeric, *, transconductance: Numeric, threshold_voltage: Numeric, exponent: Numeric) -> Numeric:
    """Saturation current in A of a switched-on transistor, B (V - Vt)^a; `transconductance` B is in A/V^a."""
    return transconductance * (voltage - threshold_voltage) ** exponent


def gate_delay(capacitance: Numeric, voltage: Numeric, current: Numeric) -> Numeric:
    """Time in s in which `current` (A) moves a load `capacitance` (F) through half the supply: C V / (2 I)."""
    return capacitance * voltage / (2 * current)


def clock_frequency(voltage: Numeric, *, gain: Numeric, threshold_voltage: Numeric, exponent: Numeric) -> Numeric:
    """Highest clock in Hz at `voltage` (V), K (V - Vt)^a / V; `gain` K is in Hz·V^(1-a). Meaningful for V above Vt."""
    return gain * (voltage - threshold_voltage) ** exponent / voltage


def gain_through(frequency: Numeric, voltage: Numeric, *, threshold_voltage: Numeric, exponent: Numeric) -> Numeric:
    """The gain K (Hz·V^(1-a)) of the law that passes through a known point: `frequency` (Hz) at `voltage` (V)."""
    return frequency * voltage / (voltage - threshold_voltage) ** exponent


def minimum_energy_delay_voltage(threshold_voltage: Numeric, exponent: Numeric, delay_weight: Numeric = 1) -> Numeric:
    """Supply in V that minimises E · D^m of switching, with m the `delay_weight`: (2 + m) Vt / (2 + m - a m).

    E ∝ V² and D ∝ V / (V - Vt)^a, so the derivative of V^(2+m) / (V - Vt)^(a m) vanishes there: 3 Vt / (3 - a) for E·D,
    4 Vt / (4 - 2 a) for E·D². Leakage is left out. Gonzalez, Gordon and Horowitz, JSSC 32(8), 1997.
    """
    return (2 + delay_weight) * threshold_voltage / (2 + delay_weight - exponent * delay_weight)


def voltage_for(frequency: float, *, gain: float, threshold_voltage: float, exponent: float, floor: float, ceiling: float) -> float:
    """Lowest supply in V, not below `floor`, that reaches the clock `frequency` (Hz); plain floats only.

    Solved by Newton's method from the ceiling: K (V - Vt)^a - f V is convex for every exponent of at least 1 and negative at Vt, so its
    steps come down to its only root above and never pass it. Raises `Infeasible` for a clock that
    needs more than `ceiling`, or a range that does not lie above the threshold; `InvalidSetting` for a negative or
    non-finite clock.
    """
    require_non_negative("frequency", frequency)
    if not threshold_voltage < floor <= ceiling:
        raise Infeasible(
            f"voltage range {floor:.4g} V to {ceiling:.4g} V: expected threshold voltage {threshold_voltage:.4g} V < floor <= ceiling; "
            "correct the voltage-frequency curve"
        )
    law = {"gain": gain, "threshold_voltage": threshold_voltage, "exponent": exponent}
    highest = clock_frequency(ceiling, **law)
    if frequency > highest * (1 + ROUNDING):
        raise Infeasible(
            f"a clock of {format_si(frequency, 'Hz', 4)} needs more than the highest voltage of {ceiling:.4g} V, which allows "
            f"{format_si(highest, 'Hz', 4)}; lower the clock or raise the voltage limit"
        )
    if frequency <= clock_frequency(floor, **law):
        return floor
    voltage = ceiling
    for _ in range(STEPS):
        overdrive = voltage - threshold_voltage
        current = gain * overdrive**exponent
        step = (current - frequency * voltage) / (exponent * current / overdrive - frequency)
        voltage -= step
        if step <= ROUNDING * voltage:
            break
    return min(max(voltage, floor), ceiling)
