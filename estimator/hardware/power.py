"""Power that flows whatever is computed: leakage, clock tree, memory idle, board; and the voltage that a clock needs."""

from estimator.hardware.schema import Profile
from estimator.transistor.delay import gain_through, voltage_for
from estimator.transistor.leakage import leakage_power


def voltage_at(profile: Profile, clock: float) -> float:
    """Core voltage in V that `clock` (Hz) needs: the alpha-power law through the boost point, not below the floor."""
    curve = profile.clock
    law = {"threshold_voltage": float(curve.threshold_voltage), "exponent": float(curve.velocity_exponent)}
    gain = gain_through(float(curve.boost), float(curve.voltage_at_boost), **law)
    return voltage_for(clock, gain=gain, floor=float(curve.voltage_floor), ceiling=float(curve.voltage_at_boost), **law)


def leakage(profile: Profile, voltage: float, temperature: float) -> float:
    """Subthreshold leakage of the whole die in W at `voltage` (V) and `temperature` (K)."""
    process = profile.process
    return leakage_power(
        process.leakage,
        profile.die.powered_transistors,
        voltage,
        temperature,
        reference_voltage=process.leakage_voltage,
        reference_temperature=process.leakage_temperature,
        barrier_lowering=process.barrier_lowering,
        ideality=process.subthreshold_ideality,
        temperature_efold=process.leakage_temperature_efold,
    )


def idle_power(profile: Profile) -> float:
    """Board power in W with no work: clock at its minimum and gated, voltage at the floor, temperature in balance."""
    voltage = voltage_at(profile, float(profile.clock.minimum))
    tree = profile.clock.tree_capacitance * profile.die.powered_transistors * voltage**2 * profile.clock.minimum * profile.clock.gated_share
    power = float(profile.power.board)
    for _ in range(100):
        temperature = profile.thermal.ambient + profile.thermal.resistance * power
        inside = leakage(profile, voltage, temperature) + tree + profile.memory.idle_power
        previous, power = power, inside / profile.power.regulator_efficiency + profile.power.board
        if abs(power - previous) < power * 1e-9:  # exact: convergence of a contraction
            break
    return power
