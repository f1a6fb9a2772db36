"""Identity and lifetime of allocations: a fresh number for each, and the peak of live bytes."""

import weakref

import torch


class Storage(weakref.ref):
    """One allocation: its number, bytes that count as activation, and known values, if any (see `shadows`)."""

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
        self.live_bytes = 0
        self.peak_bytes = 0

    def of(self, tensor: torch.Tensor) -> Storage:
        """The entry of the allocation behind a tensor; a new allocation counts as activation while it lives."""
        storage = tensor.untyped_storage()
        return self._by_address.get(storage._cdata) or self._enter(storage)

    def known(self, tensor: torch.Tensor) -> bool:
        """Whether the allocation behind a tensor was seen before."""
        return tensor.untyped_storage()._cdata in self._by_address

    def exempt(self, tensor: torch.Tensor) -> None:
        """Count an allocation as no activation: weights, their gradients, buffers, optimizer state."""
        peak = self.peak_bytes
        self.resize(self.of(tensor), 0)
        self.peak_bytes = peak  # a weight seen for the first time was no activation for a moment either

    def exempt_all(self, tensors: list[torch.Tensor]) -> None:
        """As `exempt`, for several."""
        for tensor in tensors:
            self.exempt(tensor)

    def resize(self, entry: Storage, size: int) -> None:
        """Set the activation bytes of an allocation."""
        self.live_bytes += size - entry.bytes
        entry.bytes = size
        self.peak_bytes = max(self.peak_bytes, self.live_bytes)

    def alias(self, tensor: torch.Tensor, owner: Storage) -> None:
        """Let a tensor's new allocation stand for memory of `owner`, such as a cache that grew in place."""
        self.of(tensor).uid = owner.uid

    def _enter(self, storage: torch.UntypedStorage) -> Storage:
        entry = Storage(storage, self._release)
        self._count += 1
        entry.uid, entry.address, entry.bytes, entry.shadow = self._count, storage._cdata, storage.nbytes(), None
        self._by_address[entry.address] = entry
        self.live_bytes += entry.bytes
        if self.live_bytes > self.peak_bytes:
            self.peak_bytes = self.live_bytes
        return entry

    def _release(self, entry: Storage) -> None:
        del self._by_address[entry.address]
        self.live_bytes -= entry.bytes
