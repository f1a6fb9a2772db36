"""Small hand-written operation streams, as the tracer would record them."""

from dataclasses import dataclass
from types import SimpleNamespace

from estimator.model.rules import work_of
from estimator.model.trace import Call
from estimator.model.work import TensorSpec
from tests.model.signatures import signature, tensor


@dataclass(frozen=True)
class Handle:
    """A tensor of a stream: what it looks like and in which storage it lies."""

    storage: int
    spec: TensorSpec

    def part(self, *shape):
        """A view of a piece of it."""
        return Handle(self.storage, tensor(*shape, format=self.spec.format))


class Stream:
    """Records calls; every result lies in a new storage unless it goes `into` another tensor."""

    def __init__(self):
        self.signatures, self.calls, self.storages = {}, [], 0

    def input(self, *shape, **settings):
        """A tensor that exists before: a weight or an input."""
        self.storages += 1
        return Handle(self.storages, tensor(*shape, **settings))

    def call(stream, op, shape, /, *, module="net", phase="forward", into=None, **arguments):  # noqa: N805  operators have an argument of that name
        """Record one operation with these arguments; returns what it writes."""
        result = stream.input(*shape) if into is None else into
        handles = [value for value in arguments.values() if isinstance(value, Handle)]
        plain = {name: value.spec if isinstance(value, Handle) else value for name, value in arguments.items()}
        index = stream.signatures.setdefault(signature(op, tensor(*shape), **plain), len(stream.signatures))
        stream.calls.append(Call(index, phase, module, tuple(handle.storage for handle in handles), (result.storage,)))
        return result

    def mm(self, a, b, **settings):
        return self.call("aten.mm", (a.spec.shape[0], b.spec.shape[1]), self=a, mat2=b, **settings)

    def unary(self, op, a, **settings):
        return self.call(f"aten.{op}", a.spec.shape, self=a, **settings)

    def binary(self, op, a, b, **settings):
        return self.call(f"aten.{op}", a.spec.shape, self=a, other=b, **settings)

    def trace(self, *outputs):
        return SimpleNamespace(
            signatures=tuple(self.signatures), calls=tuple(self.calls), outputs=tuple(handle.storage for handle in outputs)
        )


def totals(kernels):
    """FLOP by unit, bytes and launches of all kernels; whole numbers, so sums are exact."""
    works = [(work_of(kernel), kernel.launches) for kernel in kernels]
    quantities = ("matmul_flop", "vector_flop", "special_flop", "read", "write")
    sums = {name: sum(launches * getattr(work, name) for work, launches in works) for name in quantities}
    return sums | {"launches": sum(launches for _, launches in works)}


def moved(kernels):
    """Bytes read and written by all kernels."""
    sums = totals(kernels)
    return sums["read"] + sums["write"]
