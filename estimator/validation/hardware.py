"""From the hardware of a row to a profile, with the row's power cap and clock limit put on it."""

from functools import cache
from typing import Any

from estimator.errors import UnknownName
from estimator.hardware.catalogue import known_as, load_profile
from estimator.hardware.power import voltage_at
from estimator.hardware.schema import Profile
from estimator.validation.rows import Row, RowFault
from estimator.validation.workloads import workloads

RANDOM = "random"
VENDOR = "nvidia "
ANOTHER_PART = (
    "d",
    "laptop",
    "max",
    "max-q",
    "mobile",
    "nvl",
    "pro",
    "super",
    "ti",
    "ultra",
)  # words after which a name means another part


def profile_of(row: Row, clock: float | None = None) -> Profile:
    """The profile that a row was measured on, under its power limit, with its operands and, if given, at most at `clock` (Hz).

    `operands`: what the tensors held, a name of `Profile.at(activity=…)`; like random numbers where the row does not say.
    Raises `RowFault` for hardware that is not in the catalogue and for operands that nobody counted.
    """
    limit = row.number("power_limit_w", 0.0)
    try:
        profile = _holding(_Identity(_named(row)), row.text("operands", RANDOM))
    except UnknownName as error:
        raise RowFault("operands", f"holds {row.text('operands')!r}: {error}") from None
    return limited(profile, limit or None, clock)


@cache
def _holding(of: "_Identity", operands: str) -> Profile:
    return of.profile if operands == RANDOM else of.profile.at(activity=operands)


def _named(row: Row) -> Profile:
    text = row.text("hardware")
    if not text:
        raise RowFault("hardware", "is empty: expected a name of the catalogue")
    try:
        return current(profile_name(text))
    except UnknownName:
        raise RowFault("hardware", f"holds {text!r}, which is not in the catalogue; `python -m estimator profiles` lists what is") from None


@cache
def profile_name(text: str) -> str:
    """The catalogue's name for the text of a data set or a driver: the longest known name that begins it and ends with a word.

    The text itself where there is none.
    """
    names, lower = workloads()["hardware"], text.lower()
    for end in (end for end in range(len(lower), 0, -1) if _ends_a_word(lower[end - 1], lower[end : end + 1])):
        if lower[end:].strip().partition(" ")[0] in ANOTHER_PART:
            continue
        for word in (lower[:end], lower[:end].removeprefix(VENDOR)):
            if word in names:
                return names[word]
            if path := known_as(word):
                return path.stem
    return text


def _ends_a_word(last: str, following: str) -> bool:
    """A letter, a blank or a digit does not follow: A10 is neither in A100 nor in A10G, SXM is in SXM5."""
    return not (last.isspace() or (following.isalpha() and last.isalnum()) or (following.isdigit() and last.isdigit()))


_REPLACED: dict[str, Profile] = {}


def current(name: str) -> Profile:
    """The profile of that name: the catalogue's, or what `use` put in its place."""
    profile = load_profile(name)
    return _REPLACED.get(profile.name, profile)


def use(*profiles: Profile) -> None:
    """Predict with these in place of the catalogue's profiles of the same names; without any, with the catalogue's again."""
    _REPLACED.clear()
    _REPLACED.update({profile.name: profile for profile in profiles})
    _limited.cache_clear()
    _holding.cache_clear()


def limited(profile: Profile, watts: float | None = None, clock: float | None = None) -> Profile:
    """`profile` with its power cap set to `watts` and its clock held at or below `clock` (Hz)."""
    return _limited(_Identity(profile), watts, clock)


class _Identity:
    """A profile as a cache key: profiles are frozen but hold dicts, so they are told apart by who they are."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile

    def __hash__(self) -> int:
        return id(self.profile)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and self.profile is other.profile


@cache
def _limited(of: _Identity, watts: float | None, clock: float | None) -> Profile:
    profile, sections = of.profile, {}
    if watts is not None:
        sections["power"] = _updated(profile.power, limit=watts)
    if clock is not None and clock < profile.clock.boost:
        sections["clock"] = _updated(profile.clock, boost=clock, voltage_at_boost=voltage_at(profile, clock))
    return profile.model_copy(update=sections) if sections else profile


def _updated(section: Any, **values: float) -> Any:
    return section.model_copy(update=values)
