"""Every error that the estimator raises on purpose.

    EstimatorError
    ├── UnknownName          a hardware, model, run or stack name that nobody defined   (also a LookupError)
    ├── InvalidSetting       a value outside what physics or the interface allows       (also a ValueError)
    ├── MissingInputs        a module was given without the inputs that define its shapes (also a TypeError)
    ├── MissingDependency    an optional library is needed and not installed            (also an ImportError)
    ├── ProfileError         a hardware profile with an unknown key, a wrong unit, a missing number
    ├── TraceError           a model that cannot be run on meta tensors
    │   └── LiftError        a traced program whose sizes are not polynomial
    └── Infeasible           an operating point that the chip cannot hold

Each message answers three questions: what was given, what is allowed, what to do next.
"""

from collections.abc import Iterable
from difflib import get_close_matches

OFFERED = 5  # exact: how many names a message offers
LIKENESS = 0.4  # exact: how alike they must be, as difflib counts
WARNING = "WARNING: "  # begins a note of what may make an answer wrong, which is no error


class EstimatorError(Exception):
    """Base of every error raised on purpose."""


class UnknownName(EstimatorError, LookupError):
    """A name that is not in the catalogue; the message lists the nearest ones."""

    def __str__(self) -> str:  # LookupError's subclasses would quote the message
        return str(self.args[0])


class InvalidSetting(EstimatorError, ValueError):
    """A setting that is out of range, not finite or of the wrong kind."""


class MissingInputs(EstimatorError, TypeError):
    """A module needs example inputs: shapes decide its work."""


class MissingDependency(EstimatorError, ImportError):
    """An optional library is needed for this request."""


class ProfileError(EstimatorError):
    """A hardware profile that does not say what it must, or says what it may not."""


class TraceError(EstimatorError):
    """A model that could not be traced on meta tensors."""


class LiftError(TraceError):
    """A program whose tensor sizes are no polynomial of batch, sequence and past tokens."""


class Infeasible(EstimatorError):
    """An operating point outside what the chip can do."""


def unknown_name(kind: str, given: object, known: Iterable[str], hint: str) -> UnknownName:
    """An `UnknownName` that lists the nearest known names and says what to do next."""
    names = sorted(set(known))
    by_lower = {name.lower(): name for name in names}
    close = get_close_matches(str(given).lower(), by_lower, n=OFFERED, cutoff=LIKENESS)
    near = [by_lower[match] for match in close]
    offer = f"Nearest: {', '.join(near)}." if near else f"Known: {', '.join(names[:12])}{' …' if len(names) > 12 else ''}."
    return UnknownName(f"unknown {kind} {given!r}. {offer} {hint}")
