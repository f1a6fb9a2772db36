"""Current that flows through transistors which are switched off, and its power.

Subthreshold current falls by a decade per n · kT/q · ln 10 of gate voltage and grows with the drain voltage, which lowers the
barrier at the source. With metal gates on high-k dielectrics the tunnelling current through the gate is negligible beside it.
Source: Taur and Ning, Fundamentals of Modern VLSI Devices, 2nd edition, chapter 3.
"""

from estimator.quantity import Numeric
from estimator.transistor.constants import BOLTZMANN, ELEMENTARY_CHARGE, LN_10, E


def thermal_voltage(temperature: Numeric) -> Numeric:
    """kT/q in V at `temperature` (K): 25.9 mV at 300 K."""
    return BOLTZMANN * temperature / ELEMENTARY_CHARGE


def subthreshold_slope(temperature: Numeric, *, ideality: Numeric) -> Numeric:
    """Gate voltage in V that changes the subthreshold current tenfold: n · kT/q · ln 10."""
    return ideality * thermal_voltage(temperature) * LN_10


def subthreshold_current(
    gate_voltage: Numeric,
    drain_voltage: Numeric,
    temperature: Numeric,
    *,
    threshold_current: Numeric,
    threshold_voltage: Numeric,
    barrier_lowering: Numeric,
    ideality: Numeric,
) -> Numeric:
    """Drain current in A below threshold, I0 · exp[(Vgs - Vt + η Vds) / (n vT)] · (1 - exp[-Vds / vT]).

    `threshold_current` I0 is the current (A) at Vgs = Vt of this width and length; `barrier_lowering` η is in V/V.
    """
    vt = thermal_voltage(temperature)
    overdrive = gate_voltage - threshold_voltage + barrier_lowering * drain_voltage
    return threshold_current * E ** (overdrive / (ideality * vt)) * (1 - E ** (-drain_voltage / vt))


def leakage_power(
    reference_power: Numeric,
    transistors: Numeric,
    voltage: Numeric,
    temperature: Numeric,
    *,
    reference_voltage: Numeric,
    reference_temperature: Numeric,
    barrier_lowering: Numeric,
    ideality: Numeric,
    temperature_efold: Numeric,
) -> Numeric:
    """Leakage in W of `transistors` at `voltage` (V) and `temperature` (K), from a figure known at reference conditions.

    N · P0 · (V/V0) · exp[η (V - V0) / (n vT)] · exp[(T - T0) / T_L], with `reference_power` P0 in W per transistor and
    `temperature_efold` T_L in K. The exponential in T stands for the falling threshold and the wider thermal spread
    together; 7 nm silicon shows T_L = 30 to 36 K.
    """
    drain = E ** (barrier_lowering * (voltage - reference_voltage) / (ideality * thermal_voltage(temperature)))
    heat = E ** ((temperature - reference_temperature) / temperature_efold)
    return transistors * reference_power * voltage / reference_voltage * drain * heat


def power_gated(leakage: Numeric, gated_share: Numeric, *, residual: Numeric) -> Numeric:
    """Leakage in W left when `gated_share` of the transistors is cut off by sleep switches that still pass `residual` of it."""
    return leakage * (1 - gated_share * (1 - residual))
