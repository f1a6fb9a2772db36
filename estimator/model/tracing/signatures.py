"""An operation's arguments as plain records: named by its schema, tensors as specs, each distinct signature stored once."""

from collections.abc import Iterable
from typing import Any

import torch

from estimator.model.tracing.formats import number_format, tensor_spec
from estimator.model.work import Signature


def tensors_in(values: Iterable[Any]) -> list[torch.Tensor]:
    """The tensors among values, lists flattened, in order."""
    found = []
    for value in values:
        if isinstance(value, torch.Tensor):
            found.append(value)
        elif isinstance(value, (list, tuple)):
            found += tensors_in(value)
    return found


def fingerprint(value: Any) -> Any:
    """A hashable key that separates any two arguments with different records; cheaper to build than the record."""
    if isinstance(value, torch.Tensor):
        return value.shape, value.stride(), value.dtype
    if isinstance(value, (list, tuple)):
        return tuple(map(fingerprint, value))
    return value.__class__, value  # the class, because 1 == 1.0 == True


def plain(value: Any) -> Any:
    """An argument without torch objects: specs, number formats, tuples and Python scalars."""
    if isinstance(value, torch.Tensor):
        return tensor_spec(value)
    if isinstance(value, (list, tuple)):
        return tuple(map(plain, value))
    if isinstance(value, torch.dtype):
        return number_format(value)
    if value is None or isinstance(value, (bool, int, float, complex, str)):
        return value
    return str(value).removeprefix("torch.")  # device, layout, memory format


def bound_arguments(schema: torch.FunctionSchema, args: tuple, kwargs: dict) -> tuple[tuple[str, Any], ...]:
    """(name, plain value) of every argument in schema order, defaults included."""
    pairs = []
    for index, argument in enumerate(schema.arguments):
        if index < len(args):
            value = args[index]
        else:
            value = kwargs.get(argument.name, argument.default_value if argument.has_default_value() else None)
        pairs.append((argument.name, plain(value)))
    return tuple(pairs)


def call_key(func: Any, args: tuple, kwargs: dict) -> Any:
    """What decides the record of a call, and the shapes that it returns unless they depend on values."""
    key = (func, *map(fingerprint, args))
    return (*key, *((name, fingerprint(value)) for name, value in kwargs.items())) if kwargs else key


class Signatures:
    """The distinct signatures of a trace, in order of first use."""

    def __init__(self) -> None:
        self._index_of_key: dict[Any, int] = {}
        self._index_of: dict[Signature, int] = {}

    def intern(self, key: Any, name: str, func: Any, args: tuple, kwargs: dict, outputs: list[torch.Tensor]) -> int:
        """Index of the signature of a call, whose `call_key` is `key`."""
        index = self._index_of_key.get(key)
        if index is None:
            record = Signature(name, bound_arguments(func._schema, args, kwargs), tuple(map(tensor_spec, outputs)))
            index = self._index_of_key[key] = self.add(record)
        return index

    def add(self, record: Signature) -> int:
        """Index of a ready-made signature."""
        return self._index_of.setdefault(record, len(self._index_of))

    def all(self) -> tuple[Signature, ...]:
        return tuple(self._index_of)
