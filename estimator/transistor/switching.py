"""Energy of charging and discharging capacitance, the cost of computing with CMOS.

Convention, stated once: an *event* is a full cycle 0→1→0 of a node. It draws C·V² from the supply, half of which is lost in
the pull-up and half, stored in between, in the pull-down: ½·C·V² per transition. *Activity* is events per clock cycle.
All formulas take floats, arrays or SymPy expressions. Source: Rabaey, Chandrakasan and Nikolić, Digital Integrated Circuits,
2nd edition, section 5.5.
"""

from estimator.quantity import Numeric

RANDOM_BIT_ACTIVITY = 1 / 2 * 1 / 2  # a random bit rises if the last one was 0 (½) and this one is 1 (½)


def switching_energy(capacitance: Numeric, voltage: Numeric, events: Numeric = 1) -> Numeric:
    """Energy in J of `events` full 0→1→0 cycles of `capacitance` (F) at `voltage` (V): events · C · V²."""
    return events * capacitance * voltage**2


def transition_energy(capacitance: Numeric, voltage: Numeric, transitions: Numeric = 1) -> Numeric:
    """Energy in J that `transitions` single edges dissipate: ½ · C · V² each."""
    return transitions * capacitance * voltage**2 / 2


def dynamic_power(activity: Numeric, capacitance: Numeric, voltage: Numeric, frequency: Numeric) -> Numeric:
    """Switching power in W, α · C · V² · f: `activity` in events per cycle, `capacitance` in F, `frequency` in Hz."""
    return activity * capacitance * voltage**2 * frequency


def wire_energy(length: Numeric, voltage: Numeric, *, capacitance_per_length: Numeric, activity: Numeric = RANDOM_BIT_ACTIVITY) -> Numeric:
    """Energy in J of sending one bit over `length` (m) of wire with `capacitance_per_length` (F/m).

    A random bit costs ¼ · c · L · V², since it begins a 0→1→0 cycle one time in four; `activity` states another pattern.
    """
    return activity * capacitance_per_length * length * voltage**2


def crossover_time(voltage: Numeric, transition_time: Numeric, *, threshold_voltage: Numeric) -> Numeric:
    """Time in s in which both transistors of an inverter conduct while its input ramps: t (V - 2 Vt) / V, for V above 2 Vt."""
    return transition_time * (voltage - 2 * threshold_voltage) / voltage


def short_circuit_energy(voltage: Numeric, peak_current: Numeric, crossover: Numeric) -> Numeric:
    """Energy in J lost from supply to ground in one 0→1→0 cycle: V · I_peak · t.

    The current pulse is a triangle, ½ · I_peak · t of charge on each of the two edges; `crossover` is t in s.
    Veendrick, JSSC 1984: 5 to 15 % of the switching energy where input and output slopes match, none for V below 2 Vt.
    """
    return voltage * peak_current * crossover
