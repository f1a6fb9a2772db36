"""What one kernel asks of a chip, in the chip's own words: multiply-adds, lane operations, bytes at each memory level."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Demand:
    """One launch of a kernel.

    `macs` are the multiply-adds that run, `mac_slots` those that the occupied units could have run in the same time (tile
    and wave quantisation make it larger), and `unit` says where: "tensor" or "vector". `mac_padding` are multiply-adds with zeros that fill
    a matrix instruction: operands are delivered to them, but nothing is added. Bytes count what crosses each level:
    `shared_bytes` into shared memory or L1, `l2_bytes` between L2 and the multiprocessors, `memory_bytes` to and from DRAM.
    `transposed_bytes` are operands that a kernel turns in shared memory because the matrix instruction wants them so.
    `integer_ops` are those of the lane operations that work out places of elements, which only the integer lanes run,
    `vector_waits` the lane operations that could have run while lanes wait.
    `rounds` are the tiles that a multiprocessor works off one after the other, filling and draining its pipeline for each.
    `memory_share` is the part of the achievable memory bandwidth that this kind of kernel reaches, `chip_share` the part that its way
    through the chip lets pass at full clock, less so at a lower one (None: never the limit), `overlap` how far its units
    work at the same time (1: fully). `overhead` is the time in seconds in which the kernel fills and drains the chip,
    `interval` the shortest time between two launches that the host allows. `link_bytes` are sent over the device's `link`, in `link_steps`
    that wait for each other; `exposed` is the share of that time which no computation hides.
    """

    macs: float = 0.0
    mac_slots: float = 0.0
    mac_padding: float = 0.0
    mac_format: str = "fp32"
    unit: str = "tensor"
    vector_ops: float = 0.0
    vector_waits: float = 0.0
    special_ops: float = 0.0
    integer_ops: float = 0.0
    vector_format: str = "fp32"
    shared_bytes: float = 0.0
    transposed_bytes: float = 0.0
    l2_bytes: float = 0.0
    memory_bytes: float = 0.0
    rounds: float = 0.0
    memory_share: float = 1.0
    chip_share: float | None = None
    overlap: float = 1.0
    overhead: float = 0.0
    interval: float = 0.0
    link: str = ""
    link_bytes: float = 0.0
    link_steps: float = 0.0
    exposed: float = 1.0
