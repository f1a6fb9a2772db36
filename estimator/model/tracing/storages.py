"""Identity and lifetime of allocations: a fresh number for each, and the peak of live bytes."""

import weakref

import torch


class Storage(weakref.ref):
    """One allocation: its number, its bytes while it lives, and known values, if any (see `shadows`)."""

    __slots__ = ("address", "bytes", "shadow", "uid")
    uid: int
    address: int
    bytes: int
    shadow: torch.Tensor | None


class Storages:
    """Allocations seen so far. An address that torch uses again gets a new number, because the old entry dies with its storage."""

    def __init__(self) -> None:
        self._by_address: dict[int, Storage] = {}
        self._count = 0
        self._changes: list[tuple[int, int]] = []  # (number of the allocation, bytes more or less), in time
        self._exempt: set[int] = set()

    def of(self, tensor: torch.Tensor) -> Storage:
        """The entry of the allocation behind a tensor."""
        storage = tensor.untyped_storage()
        return self._by_address.get(storage._cdata) or self._enter(storage)

    def exempt(self, *tensors: torch.Tensor) -> None:
        """Count allocations as no activation, from their birth: weights, their gradients, buffers, optimizer state."""
        self._exempt.update(self.of(tensor).uid for tensor in tensors)

    def grow(self, tensor: torch.Tensor, owner: Storage) -> None:
        """Let a new tensor stand for the memory of `owner`, which grew in place to its size."""
        self._changes.append((owner.uid, -owner.bytes))
        owner.bytes = 0
        self.of(tensor).uid = owner.uid

    def peak_bytes(self) -> int:
        """The most bytes alive at once, exempt allocations left out."""
        live = peak = 0
        for uid, change in self._changes:
            if uid not in self._exempt:
                live += change
                peak = max(peak, live)
        return peak

    def _enter(self, storage: torch.UntypedStorage) -> Storage:
        entry = Storage(storage, self._release)
        self._count += 1
        entry.uid, entry.address, entry.bytes, entry.shadow = self._count, storage._cdata, storage.nbytes(), None
        self._by_address[entry.address] = entry
        self._changes.append((entry.uid, entry.bytes))
        return entry

    def _release(self, entry: Storage) -> None:
        del self._by_address[entry.address]
        self._changes.append((entry.uid, -entry.bytes))
