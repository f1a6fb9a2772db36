"""What a hardware profile says about a chip, the way an architect would say it. All numbers are SI `Quantity` values.

A profile file may hold only the part that it adds: `inherits` names the files that hold the rest (node ← family ← memory ←
device), see `estimator.hardware.catalogue`.
"""

from math import inf
from typing import Annotated, Literal

from pydantic import Field, model_validator

from estimator.facts import load_facts
from estimator.hardware.quantity import Quantity, Unit
from estimator.hardware.section import Section as Section
from estimator.hardware.what_if_methods import Changeable

Number = Annotated[Quantity, Unit("1")]
Volt = Annotated[Quantity, Unit("V")]
Hertz = Annotated[Quantity, Unit("Hz")]
Watt = Annotated[Quantity, Unit("W")]
Kelvin = Annotated[Quantity, Unit("K")]
Second = Annotated[Quantity, Unit("s")]
Farad = Annotated[Quantity, Unit("F")]
FaradPerBit = Annotated[Quantity, Unit("F/bit")]
FaradPerMetre = Annotated[Quantity, Unit("F/m")]
JoulePerBit = Annotated[Quantity, Unit("J/bit")]
Bit = Annotated[Quantity, Unit("bit")]
BitPerSecond = Annotated[Quantity, Unit("bit/s")]
Byte = Annotated[Quantity, Unit("B")]
BytePerSecond = Annotated[Quantity, Unit("B/s")]
MacPerClock = Annotated[Quantity, Unit("MAC/clock")]
BytePerClock = Annotated[Quantity, Unit("B/clock")]
KelvinPerWatt = Annotated[Quantity, Unit("K/W")]
SquareMetre = Annotated[Quantity, Unit("m2")]
WattPerTransistor = Annotated[Quantity, Unit("W/transistor")]
FaradPerTransistor = Annotated[Quantity, Unit("F/transistor")]
TransistorPerSquareMetre = Annotated[Quantity, Unit("transistor/m2")]


class Process(Section):
    """The technology node: what one transistor, wire and cell of it costs to switch and leaks."""

    name: str = Field(description="as the foundry calls it")
    node_nm: float = Field(description="label of the node in nm; a name, not a length")
    nominal_voltage: Volt = Field(description="usual supply of the node")
    threshold_voltage: Volt = Field(description="of the transistors that set the clock")
    velocity_exponent: Number = Field(description="a of the alpha-power law f = K (V - Vt)^a / V")
    full_adder_capacitance: Farad = Field(description="switched per full-adder operation, activity included: E = C V^2")
    flip_flop_capacitance: FaradPerBit = Field(description="switched per clocked flip-flop bit, local clock included")
    sram_bit_capacitance: FaradPerBit = Field(description="switched per bit read from a 32 KiB array")
    wire_capacitance: FaradPerMetre = Field(description="wire with its repeaters; a random bit dissipates C L V^2 / 4")
    leakage: WattPerTransistor = Field(description="subthreshold leakage power per transistor at the two conditions below")
    leakage_voltage: Volt = Field(description="supply at which `leakage` is stated")
    leakage_temperature: Kelvin = Field(description="junction temperature at which `leakage` is stated")
    barrier_lowering: Number = Field(description="drain-induced barrier lowering in V/V")
    subthreshold_ideality: Number = Field(description="n in the subthreshold slope n kT/q ln 10")
    leakage_temperature_efold: Kelvin = Field(description="leakage grows e-fold per this many kelvin")
    transistor_density: TransistorPerSquareMetre = Field(description="published peak of the node; `low` is what large GPUs reach")
    fo4_delay: Second | None = Field(default=None, description="delay of an inverter that drives four of its kind")


class Die(Section):
    """What was made in that process."""

    transistors: Number = Field(description="of all compute dies in the package")
    area: SquareMetre | None = Field(default=None, description="of all compute dies in the package")
    multiprocessors: Number = Field(description="enabled SMs, compute units or cores")
    powered_share: Number | None = Field(default=None, description="share of the transistors under power; the rest is fused off or asleep")

    @property
    def powered_transistors(self) -> float:
        """Transistors that leak and are clocked: all of them unless `powered_share` says otherwise."""
        return self.transistors if self.powered_share is None else self.transistors * self.powered_share


class Clock(Section):
    """The operating range, and the voltage that it takes: alpha-power law through (boost, voltage_at_boost), with a floor."""

    minimum: Hertz = Field(description="clock with no work")
    base: Hertz | None = Field(default=None, description="guaranteed clock; not used in any formula")
    boost: Hertz = Field(description="highest clock, at which the peak rates hold")
    voltage_floor: Volt = Field(description="lowest core voltage, whatever the clock")
    voltage_at_boost: Volt = Field(description="core voltage that `boost` needs; who states another boost states this too")
    threshold_voltage: Volt = Field(description="Vt of the alpha-power law")
    velocity_exponent: Number = Field(description="a of the alpha-power law")
    tree_capacitance: FaradPerTransistor = Field(description="clock-tree capacitance switched each cycle, per transistor of the die")
    gated_share: Number = Field(description="share of the clock tree that still toggles while no kernel runs")
    capped_minimum: Hertz | None = Field(default=None, description="lowest clock that a power limit sets; default: `minimum`, and pauses")


class Tensor(Section):
    """Matrix units of one multiprocessor."""

    fma_per_clock: dict[str, MacPerClock] = Field(description="multiply-adds per clock by number format, dense")
    dot_length: Number = Field(description="products summed in one fused dot product, at 16 bits")
    register_bits_per_mac: Number = Field(description="register-file bits moved per multiply-add, at 16-bit operands")
    shared_bits_per_mac: Number = Field(description="shared-memory bits moved per multiply-add, at 16-bit operands")
    latch_bits_per_mac: Number = Field(description="pipeline and operand latch bits clocked per multiply-add, at 16-bit operands")
    macs_per_instruction: Number = Field(description="multiply-adds per matrix instruction that a warp issues, at 16 bits")
    instruction_rows: Number = Field(description="rows of the matrix instruction that attention uses")
    tile_m: Number = Field(description="rows of the largest output tile")
    tile_n: Number = Field(description="columns of the largest output tile")
    tile_cluster: Number = Field(description="multiprocessors that share one such tile, by multicast or as a pair")
    attention_rows: Number | None = Field(default=None, description="query rows of a tile of fused attention; default: 128")
    accumulator_columns: Number | None = Field(default=None, description="of a memory for accumulators, which two attention tiles share")
    promotion_ops: Number | None = Field(default=None, description="lane operations for each scale that the unit does not apply")
    promotion_slots: Number | None = Field(default=None, description="lane operations that could run in that time; default: as many")
    transpose_rate: BytePerClock | None = Field(default=None, description="8-bit values of attention turned for the instruction")
    tile_fill: Number | None = Field(default=None, description="clocks from a tile's last product to the next one's first, not overlapped")


class Vector(Section):
    """Vector (SIMT) and special-function units of one multiprocessor."""

    fma_per_clock: dict[str, MacPerClock] = Field(description="multiply-adds per clock by number format, packed formats included")
    integer_per_clock: Number | None = Field(default=None, description="32-bit integer operations per clock; default: as many as in fp32")
    special_per_clock: Number = Field(description="exponentials, reciprocals and other special functions per clock")
    lanes: Number = Field(description="lanes that share one instruction")
    register_bits_per_lane: Number = Field(description="register-file bits moved per lane and operation")
    latch_bits_per_lane: Number = Field(description="pipeline and operand latch bits clocked per lane and operation, at 32 bits")


class Instruction(Section):
    """Fetch, decode and scheduling of one instruction for all its lanes."""

    capacitance: Farad = Field(description="switched per instruction")


class OnChipMemory(Section):
    """Register file, shared memory / L1 (per multiprocessor) or L2 (whole chip)."""

    capacity: Byte = Field(description="per multiprocessor, or (L2) per chip")
    bit_capacitance: FaradPerBit = Field(description="switched per bit that passes this level, array and wires together")
    bandwidth: BytePerClock | None = Field(default=None, description="bytes per clock, per multiprocessor or (L2) per chip")


class Memory(Section):
    """Off-chip memory: its own supply, so its energy does not follow the core voltage."""

    kind: str = Field(description="technology, such as HBM3")
    capacity: Byte = Field(description="what a program can address")
    bandwidth: BytePerSecond = Field(description="nominal peak")
    bus_width: Bit | None = Field(default=None, description="data pins of all channels; bandwidth = bus_width × pin_rate")
    pin_rate: BitPerSecond | None = Field(default=None, description="bits per second on one data pin")
    pin_bytes_per_clock: BytePerClock | None = Field(
        default=None, description="bytes per core clock and data pin that the way into L2 takes; default: never the limit"
    )
    energy_per_bit: JoulePerBit = Field(description="device, interface and PHY")
    controller_capacitance: FaradPerBit = Field(description="controller and on-chip path in the core domain, per bit")
    idle_power: Watt = Field(description="refresh, interface and PHY with no traffic")
    clocked_power: Watt | None = Field(default=None, description="likewise at full memory clock, while a process runs; default: idle_power")

    @property
    def standing_power(self) -> float:
        """W with no traffic while a process runs: GDDR lowers its clock only when none does."""
        return self.idle_power if self.clocked_power is None else self.clocked_power


class Link(Section):
    """A connection to other devices; bandwidth of the whole device in one direction."""

    bandwidth: BytePerSecond = Field(description="of the whole device, one direction")
    energy_per_bit: JoulePerBit = Field(description="both ends")
    latency: Second = Field(description="of one step of an exchange: write, signal, wait for the peer")
    achievable: Number = Field(description="share of the bandwidth that large messages reach")
    access: Literal["memory", "message"] = Field(
        default="message", description="memory: kernels load and store at every peer at once; message: libraries send from peer to peer"
    )


class Power(Section):
    """Board power: limits, published idle figures, and the losses of the voltage regulators."""

    limit: Watt = Field(description="default power cap")
    minimum_limit: Watt | None = Field(default=None, description="lowest cap that the driver accepts")
    maximum_limit: Watt | None = Field(default=None, description="highest cap that the driver accepts, where it exceeds the default")
    idle: Watt | None = Field(default=None, description="published idle power; compared with, never used as an input")
    idle_with_context: Watt | None = Field(default=None, description="published idle power with a process attached; compared with only")
    board: Watt = Field(description="constant board power: regulators' own use, host interface, telemetry")
    regulator_efficiency: Number = Field(description="core power ÷ power drawn for it")
    limiter_response: Second | None = Field(default=None, description="time over which a limiter averages peaks; default: it holds means")


class Thermal(Section):
    """Junction temperature = ambient + resistance × power."""

    ambient: Kelvin = Field(description="air at the heat sink")
    resistance: KelvinPerWatt = Field(description="junction to ambient, of chip and cooler")
    limit: Kelvin = Field(description="highest operating temperature")


class Achievable(Section):
    """Share of each peak that good kernels reach while the clock is not throttled."""

    tensor: Number = Field(description="of the matrix units' peak at the actual clock, tile quantisation apart")
    vector: Number = Field(description="of the vector units' peak at the actual clock")
    memory: Number = Field(description="of the nominal memory bandwidth")
    l2: Number = Field(description="of the L2 bandwidth")


def _random_operands() -> Quantity:
    return load_facts("physics/what_if")["activity"]["random"]


class Profile(Changeable, Section):
    """A whole device, ready to be priced. Made by `load_profile`."""

    name: str = Field(description="the vendor's name of the part")
    aliases: tuple[str, ...] = Field(default=(), description="other names that mean this part, upper and lower case alike")
    vendor: str = Field(description="who sells it")
    architecture: str = Field(description="generation and chip")
    year: int = Field(description="of introduction")
    kind: Literal["gpu", "tpu", "cpu", "accelerator"] = Field(default="gpu", description="gpu, tpu, cpu or accelerator")
    notes: str = Field(default="", description="what a reader should know; printed in the report")
    process: Process
    die: Die
    clock: Clock
    tensor: Tensor | None = None
    vector: Vector
    instruction: Instruction
    register_file: OnChipMemory
    shared_memory: OnChipMemory
    l2: OnChipMemory
    memory: Memory
    links: dict[str, Link] = {}
    power: Power
    thermal: Thermal
    achievable: Achievable
    activity: Number = Field(default_factory=_random_operands, description="toggling of operand bits; 1: like random operands")
    what_if: tuple[str, ...] = Field(default=(), description="what was changed in the part; written by `at`, `on_node` and `with_`")

    @model_validator(mode="after")
    def _is_possible(self) -> "Profile":
        rules = {
            "clock.minimum must not exceed clock.boost": self.clock.minimum <= self.clock.boost,
            "clock.voltage_floor must lie between threshold_voltage and voltage_at_boost": (
                self.clock.threshold_voltage < self.clock.voltage_floor <= self.clock.voltage_at_boost
            ),
            "power.regulator_efficiency must lie in (0, 1]": 0 < self.power.regulator_efficiency <= 1,
            "power.idle must be below power.limit": self.power.idle is None or self.power.idle < self.power.limit,
            "die.powered_share must not exceed 1": self.die.powered_share is None or self.die.powered_share <= 1,
        }
        broken = [rule for rule, holds in rules.items() if not holds]
        broken += [f"{path} must be a finite number of at least zero" for path, value in self.quantities().items() if not 0 <= value < inf]
        if broken:
            raise ValueError("; ".join(broken))
        return self
