"""Which calls share a launch: the level rule.

The level of a call counts the library kernels (matrix products, convolutions, attention, sorts, scatters) on the longest path
to it. Calls of one level and phase have no library kernel between them, so a compiler can join them: it joins a producer with
its consumer, and calls over equally many elements that read the same tensor. That is what torch's Inductor does in effect,
whose scheduler fuses along edges first and siblings after. Even levels walk their tensors in memory order; a sum across rows
needs another order, so it follows on the odd level after, with what is computed for it alone.
"""

from collections import defaultdict
from typing import Any

from estimator.model.fusion.compiler import limit
from estimator.model.fusion.merging import merged_products
from estimator.model.fusion.operation import Operation


def group_calls(
    calls: list[Any], operations: list[Operation], accumulated: dict[int, int] | None = None, merge: bool = False
) -> list[list[int]]:
    """Indices of calls that share a launch, groups and members in the order of the calls. Linear in the calls.

    operations: that of each call. accumulated: additions and the products that do them. merge: put products side by side.
    """
    levels = _levels(calls, operations)
    merged = merged_products(calls, operations, levels) if merge else {}
    _delay(levels, calls, operations)
    joined = _Partition(len(calls), limit("max_fusion_size"))
    written_by: dict[int, int] = {}
    siblings: dict[tuple, int] = {}
    for index, (call, operation) in enumerate(zip(calls, operations)):
        for storage in call.reads if operation.fuses else ():
            producer = written_by.get(storage)
            if producer is not None and levels[producer] == levels[index] and _may_follow(producer, index, calls, operations):
                joined.join(producer, index)
            joined.join(siblings.setdefault((storage, levels[index], call.phase, operation.domain), index), index)
            if producer in merged and levels[producer] + 2 == levels[index]:
                joined.join(siblings.setdefault((merged[producer], call.phase), index), index)
        for storage in call.writes:
            written_by[storage] = index
    for follower, product in ((accumulated or {}) | merged).items():
        joined.join(product, follower)
    return joined.groups()


def _may_follow(producer: int, consumer: int, calls: list[Any], operations: list[Operation]) -> bool:
    return not operations[producer].ends_level and calls[producer].phase == calls[consumer].phase


def _levels(calls: list[Any], operations: list[Operation]) -> list[int]:
    """Twice the library kernels on the longest path to each call, by what it reads and what it overwrites; odd for sums across rows."""
    ready: dict[int, int] = {}  # level from which a storage's content can be used
    levels = []
    for call, operation in zip(calls, operations):
        level = max((ready.get(storage, 0) for storage in (*call.reads, *call.writes)), default=0) | operation.across
        levels.append(level)
        after = (level | 1) + 1 if operation.ends_level else level
        for storage in call.writes:
            ready[storage] = after
    return levels


def _delay(levels: list[int], calls: list[Any], operations: list[Operation]) -> None:
    """An operation that could run early, but whose users are all at one later level of its phase, moves there to join them."""
    users: dict[int, set[tuple[int, str]]] = defaultdict(set)
    for index in reversed(range(len(calls))):
        call = calls[index]
        in_place = any(storage in call.reads for storage in call.writes)
        if not operations[index].ends_level and not in_place:
            wanted = set().union(*(users[storage] for storage in call.writes))
            if len(wanted) == 1:
                level, phase = next(iter(wanted))
                levels[index] = level if phase == call.phase else levels[index]
        for storage in (*call.reads, *call.writes):
            users[storage].add((levels[index], call.phase))


class _Partition:
    """Disjoint sets of at most `limit` call indices (union-find with path halving)."""

    def __init__(self, count: int, limit: int) -> None:
        self.parent, self.size, self.limit = list(range(count)), [1] * count, limit

    def root(self, index: int) -> int:
        parent = self.parent
        while parent[index] != index:
            parent[index] = index = parent[parent[index]]
        return index

    def join(self, a: int, b: int) -> None:
        """One set of two, unless it would grow too large."""
        a, b = sorted((self.root(a), self.root(b)))
        if a != b and self.size[a] + self.size[b] <= self.limit:
            self.parent[b] = a
            self.size[a] += self.size[b]

    def groups(self) -> list[list[int]]:
        members: dict[int, list[int]] = {}
        for index in range(len(self.parent)):
            members.setdefault(self.root(index), []).append(index)
        return list(members.values())
