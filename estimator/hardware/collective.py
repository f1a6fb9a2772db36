"""Exchanges between devices: bytes that each device sends, steps that wait for each other, and the seconds that takes.

The cost of n ranks exchanging S bytes is that of α-β models (Hockney, Parallel Computing 20, 1994; Thakur, Rabenseifner and
Gropp, IJHPCA 19, 2005): steps × latency + bytes sent ÷ achievable bandwidth. A library picks the fastest of its algorithms, and
so does `collective`. Energy is priced at the device that sends: energy per bit covers both ends, and as every device receives what
another one sends, that is each device's own transmitters and receivers. Switches between them are not on the board.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import ceil, log2

from estimator.errors import InvalidSetting, unknown_name
from estimator.facts import profiles_dir
from estimator.hardware.inheritance import read_toml, with_provenance
from estimator.hardware.schema import Link, Profile

Cost = tuple[float, float]  # (bytes that each rank sends as a multiple of the whole, steps)
Algorithm = Callable[[int], Cost]


def _rounds(ranks: int) -> int:
    return ceil(log2(ranks))


MESSAGES: dict[str, dict[str, Algorithm]] = {
    # Patarasuk and Yuan, JPDC 69, 2009: a reduce-scatter and an all-gather around a ring are optimal in bytes
    "all_reduce": {
        "ring": lambda n: (2 * (n - 1) / n, 2 * (n - 1)),
        "tree": lambda n: (2.0, 2 * _rounds(n)),  # two binary trees, each with half of the bytes (Sanders et al., 2009)
        "doubling": lambda n: (float(_rounds(n)), _rounds(n)),
    },
    "all_gather": {"ring": lambda n: ((n - 1) / n, n - 1), "doubling": lambda n: ((n - 1) / n, _rounds(n))},
    "reduce_scatter": {"ring": lambda n: ((n - 1) / n, n - 1), "halving": lambda n: ((n - 1) / n, _rounds(n))},
    "all_to_all": {"pairwise": lambda n: ((n - 1) / n, n - 1)},
    "broadcast": {"tree": lambda n: (1.0, _rounds(n))},
    "point_to_point": {"send": lambda n: (1.0, 1)},
}
LOADS_AND_STORES: dict[str, dict[str, Algorithm]] = {  # every peer at once, through a switch
    "all_reduce": {"one shot": lambda n: (n - 1.0, 1), "two shots": lambda n: (2 * (n - 1) / n, 2)},
    "all_gather": {"one shot": lambda n: ((n - 1) / n, 1)},
    "reduce_scatter": {"one shot": lambda n: ((n - 1) / n, 1)},
    "all_to_all": {"one shot": lambda n: ((n - 1) / n, 1)},
    "broadcast": {"one shot": lambda n: (n - 1.0, 1)},
}
KINDS = tuple(MESSAGES)


@dataclass(frozen=True, slots=True)
class Collective:
    """One exchange: `link_bytes` that each rank sends and `steps` that wait for each other take `seconds` on the link `link`.

    `n * collective` is n of them, one after the other.
    """

    kind: str
    algorithm: str
    ranks: int
    link: str
    link_bytes: float
    steps: float
    seconds: float

    def __rmul__(self, count: float) -> "Collective":
        return replace(self, link_bytes=count * self.link_bytes, steps=count * self.steps, seconds=count * self.seconds)


def link_seconds(link: Link, link_bytes: float, steps: float) -> float:
    """Seconds of `steps` dependent exchanges in which a device sends `link_bytes` in all."""
    return steps * link.latency + link_bytes / (link.bandwidth * link.achievable)


def collective(kind: str, size: float, ranks: int, link: Link, name: str = "link", algorithm: str | None = None) -> Collective:
    """The fastest way, or the named `algorithm`, to exchange `size` bytes between `ranks` devices on `link`, called `name`.

    `kind` is one of `KINDS`. `size`: of the vector that is summed (all_reduce), of the whole that is gathered (all_gather) or
    scattered (reduce_scatter), of what each rank holds for all (all_to_all), of the message (broadcast, point_to_point). One rank
    alone exchanges nothing. Raises `UnknownName`, and `InvalidSetting` for fewer than one rank.
    """
    if kind not in MESSAGES:
        raise unknown_name("collective", kind, KINDS, "Pass one of these as the kind of exchange.")
    if isinstance(ranks, bool) or not isinstance(ranks, int) or ranks < 1:
        raise InvalidSetting(f"ranks={ranks!r}: expected a whole number of devices, at least 1")
    if ranks == 1:
        return Collective(kind, "none", 1, name, 0.0, 0.0, 0.0)
    known = MESSAGES[kind] | (LOADS_AND_STORES.get(kind, {}) if link.access == "memory" else {})
    if algorithm is not None and algorithm not in known:
        raise unknown_name(f"{kind} algorithm", algorithm, known, f"These are what {name} can do.")
    offers = [_offer(kind, title, how(ranks), size, ranks, link, name) for title, how in known.items() if algorithm in (None, title)]
    return min(offers, key=lambda one: one.seconds)


def _offer(kind: str, algorithm: str, cost: Cost, size: float, ranks: int, link: Link, name: str) -> Collective:
    share, steps = cost
    return Collective(kind, algorithm, ranks, name, share * size, steps, link_seconds(link, share * size, steps))


def tiered(kind: str, size: float, tiers: Sequence[tuple[int, Link, str]]) -> tuple[Collective, ...]:
    """The same exchange across `tiers` of (ranks, link, name), innermost first: inside a node, between nodes, between pods.

    All-reduce scatters its sums inside, reduces each part across, and gathers inside; gathering and scattering send outwards
    only what each rank owns. All-to-all sends each tier the share that is meant for it.
    """
    (ranks, link, name), *outer = tiers
    if not outer:
        return (collective(kind, size, ranks, link, name),)
    if kind == "all_reduce":
        inside = [collective(part, size, ranks, link, name) for part in ("reduce_scatter", "all_gather")]
        return (inside[0], *tiered(kind, size / ranks, outer), inside[1])
    if kind in ("all_gather", "reduce_scatter"):
        return (collective(kind, size, ranks, link, name), *tiered(kind, size / ranks, outer))
    return (collective(kind, size, ranks, link, name), *tiered(kind, size, outer))


def list_link_files() -> list[str]:
    """Names of the bundled link generations."""
    return sorted(path.stem for path in (profiles_dir() / "link").glob("*.toml"))


def with_link(profile: Profile, file: str, name: str | None = None) -> Profile:
    """`profile` with the link generation `file` of `hardware_profiles/link`, such as "infiniband-ndr"; `name` instead of its own.

    Raises `UnknownName`, and `InvalidSetting` for a generation whose bandwidth only a device can state.
    """
    if file not in list_link_files():
        raise unknown_name("link", file, list_link_files(), "Pass one of these, or state it in the profile's [links].")
    table = with_provenance(read_toml(profiles_dir() / "link" / f"{file}.toml"), "", "assumed")
    ((own, section),) = table["links"].items()
    if "bandwidth" not in section:
        raise InvalidSetting(
            f"link {file!r} has no bandwidth of its own: it belongs to a device; use a profile that states links.{own}.bandwidth"
        )
    return profile.model_copy(update={"links": profile.links | {name or own: Link.model_validate(section)}})


def link_of(profile: Profile, name: str) -> Link:
    """The device's link of that name; raises `InvalidSetting` where it has none."""
    if name not in profile.links:
        have = ", ".join(profile.links) or "none"
        raise InvalidSetting(f"{profile.name} has no link {name!r} (it has: {have}); state it in its [links], or add one with with_link()")
    return profile.links[name]


def fastest_link(profile: Profile) -> str:
    """Name of the link with the highest bandwidth; raises `InvalidSetting` for a device without one."""
    if not profile.links:
        raise InvalidSetting(f"{profile.name} has no link to other devices; state one in its [links], or run on one device")
    return max(profile.links, key=lambda name: profile.links[name].bandwidth)
