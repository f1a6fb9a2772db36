"""Static CMOS gates: how often their outputs switch when their inputs are random and independent.

With a probability p of being 1 in each cycle, a node begins a 0→1→0 event with probability (1 - p) p: that is its activity α.
Rabaey, Chandrakasan and Nikolić, Digital Integrated Circuits, 2nd edition, section 6.2.
"""

from estimator.quantity import Numeric


def activity(probability: Numeric) -> Numeric:
    """Events per cycle of a node that is 1 with `probability`, independently in each cycle: p (1 - p), at most ¼."""
    return probability * (1 - probability)


def inverter(a: Numeric) -> Numeric:
    """Probability that the output is 1, given that of the input."""
    return 1 - a


def nand(a: Numeric, b: Numeric) -> Numeric:
    """Probability that the output is 1: not both inputs are."""
    return 1 - a * b


def nor(a: Numeric, b: Numeric) -> Numeric:
    """Probability that the output is 1: neither input is."""
    return (1 - a) * (1 - b)


def xor(a: Numeric, b: Numeric) -> Numeric:
    """Probability that the output is 1: exactly one input is."""
    return a + b - 2 * a * b


def full_adder(a: Numeric, b: Numeric, carry: Numeric) -> tuple[Numeric, Numeric]:
    """Probabilities that the sum and the carry output of a full adder are 1."""
    half = xor(a, b)
    return xor(half, carry), a * b + half * carry
