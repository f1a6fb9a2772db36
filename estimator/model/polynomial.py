"""Exact polynomials in named sizes: a tensor dimension such as `batch*sequence + 1`.

A polynomial is plain frozen data: monomials with rational coefficients. It multiplies and adds like a number, so the rules
that turn dimensions into FLOP and bytes accept it unchanged, and evaluates for numbers, arrays or SymPy symbols.
Its text form, `str(p)`, is also its stored form: `Polynomial.parse(str(p)) == p`.
"""

import operator
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import lcm, prod
from typing import Any

from estimator.errors import InvalidSetting

Monomial = tuple[tuple[str, int], ...]
NAME = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Polynomial:
    """Sum of `coefficient * monomial`; build it with `Polynomial.symbol`, arithmetic, `from_terms` or `parse`."""

    terms: tuple[tuple[Monomial, Fraction], ...]

    @classmethod
    def from_terms(cls, terms: Mapping[Monomial, Any]) -> "Polynomial":
        """From {((name, power), …): coefficient}; zero terms vanish, the order of terms is canonical."""
        kept = {monomial: Fraction(coefficient) for monomial, coefficient in terms.items() if coefficient}
        return cls(tuple(sorted(kept.items(), key=lambda term: (-_degree(term[0]), term[0]))))

    @classmethod
    def constant(cls, value: Any) -> "Polynomial":
        return cls.from_terms({(): Fraction(value)})

    @classmethod
    def symbol(cls, name: str) -> "Polynomial":
        """The polynomial that is one size by itself."""
        return cls.from_terms({((name, 1),): 1})

    @classmethod
    def parse(cls, text: str) -> "Polynomial":
        """Read `"2*batch*sequence^2 - 1/2"`; raises `InvalidSetting` on anything else."""
        try:
            return sum((_parse_term(term) for term in text.replace(" - ", " + -").split(" + ")), cls(()))
        except ValueError:
            raise InvalidSetting(f"cannot read {text!r} as a polynomial: expected terms such as '2*batch*sequence^2 + 1'") from None

    @property
    def symbols(self) -> frozenset[str]:
        """Names of the sizes it depends on."""
        return frozenset(name for monomial, _ in self.terms for name, _ in monomial)

    def __call__(self, **sizes: Any) -> Any:
        """The value at `sizes`, exact for whole numbers; arrays are widened to float64, for 64-bit integers overflow.

        Other polynomials or SymPy symbols may stand for a size too. Raises `InvalidSetting` if a size is missing.
        """
        if missing := self.symbols - sizes.keys():
            needed = ", ".join(sorted(self.symbols))
            raise InvalidSetting(f"missing {', '.join(sorted(missing))}: {self} needs a value for each of {needed}")
        values = {name: _wide(sizes[name]) for name in self.symbols}
        divisor = lcm(*(coefficient.denominator for _, coefficient in self.terms))
        total = sum(int(c * divisor) * prod(values[name] ** power for name, power in monomial) for monomial, c in self.terms)
        if divisor == 1:
            return total
        return _exact(Fraction(total, divisor)) if isinstance(total, (int, Fraction)) else total / divisor

    def __add__(self, other: Any) -> "Polynomial":
        if (addend := _coerce(other)) is None:
            return NotImplemented
        terms = dict(self.terms)
        for monomial, coefficient in addend.terms:
            terms[monomial] = terms.get(monomial, 0) + coefficient
        return Polynomial.from_terms(terms)

    def __mul__(self, other: Any) -> "Polynomial":
        if (factor := _coerce(other)) is None:
            return NotImplemented
        terms: dict[Monomial, Fraction] = {}
        for left, a in self.terms:
            for right, b in factor.terms:
                monomial = _multiply(left, right)
                terms[monomial] = terms.get(monomial, Fraction(0)) + a * b
        return Polynomial.from_terms(terms)

    __radd__ = __add__
    __rmul__ = __mul__

    def __neg__(self) -> "Polynomial":
        return -1 * self

    def __sub__(self, other: Any) -> "Polynomial":
        return NotImplemented if (subtrahend := _coerce(other)) is None else self + -subtrahend

    def __rsub__(self, other: Any) -> "Polynomial":
        return -self + other

    def __truediv__(self, number: Any) -> "Polynomial":
        """Division by a number; a ratio of polynomials is none, so it raises `TypeError`."""
        return NotImplemented if isinstance(number, Polynomial) or _coerce(number) is None else self * (1 / Fraction(number))

    def __pow__(self, power: int) -> "Polynomial":
        return prod([self] * operator.index(power), start=Polynomial.constant(1))

    def __eq__(self, other: object) -> bool:
        return NotImplemented if (same := _coerce(other)) is None else self.terms == same.terms

    def __hash__(self) -> int:
        return hash(self.terms[0][1] if self.terms and not self.symbols else self.terms or 0)

    def __str__(self) -> str:
        return " + ".join(_show_term(*term) for term in self.terms).replace(" + -", " - ") or "0"

    def __repr__(self) -> str:
        return f"Polynomial({str(self)!r})"


def symbols(names: str) -> tuple[Polynomial, ...]:
    """One polynomial for each name: `batch, sequence = symbols("batch sequence")`."""
    return tuple(Polynomial.symbol(name) for name in names.split())


def _coerce(value: Any) -> Polynomial | None:
    if isinstance(value, Polynomial):
        return value
    return Polynomial.constant(value) if isinstance(value, (int, float, Fraction)) else None


def _degree(monomial: Monomial) -> int:
    return sum(power for _, power in monomial)


def _multiply(left: Monomial, right: Monomial) -> Monomial:
    powers = dict(left)
    for name, power in right:
        powers[name] = powers.get(name, 0) + power
    return tuple(sorted(powers.items()))


def _wide(value: Any) -> Any:
    try:
        return operator.index(value)
    except TypeError:
        return value * 1.0 if hasattr(value, "dtype") else value


def _exact(value: Fraction) -> int | Fraction:
    return value.numerator if value.denominator == 1 else value


def _show_term(monomial: Monomial, coefficient: Fraction) -> str:
    factors = [name if power == 1 else f"{name}^{power}" for name, power in monomial]
    if not factors or coefficient not in (1, -1):
        return "*".join([str(coefficient), *factors])
    return "-" * (coefficient < 0) + "*".join(factors)


def _parse_term(text: str) -> Polynomial:
    sign, body = (-1, text[1:]) if text.startswith("-") else (1, text)
    return sign * prod((_parse_factor(factor) for factor in body.split("*")), start=Polynomial.constant(1))


def _parse_factor(text: str) -> Polynomial:
    name, _, power = text.partition("^")
    return Polynomial.symbol(name) ** int(power or 1) if NAME.fullmatch(name) else Polynomial.constant(Fraction(text))
