"""How the tokens of a mixture of experts spread over its experts."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from estimator.errors import InvalidSetting
from estimator.model.architecture import Architecture
from estimator.model.trace import Trace
from estimator.model.work import Kernel, Signature

GROUPED = ("est.grouped_mm", "est.packed_mm")
BALANCED, ZIPF = "balanced", "zipf"


def exponent(routing: str | float) -> float:
    """The exponent of Zipf's law: 0 for "balanced", 1 for "zipf", or the number given; raises `InvalidSetting`."""
    named = {BALANCED: 0.0, ZIPF: 1.0}
    value = named.get(routing) if isinstance(routing, str) else routing
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < float("inf"):
        raise InvalidSetting(f"routing={routing!r}: expected 'balanced', 'zipf' or the exponent of Zipf's law, at least 0")
    return value


class Router:
    """Tells each grouped product how many experts a token has, as the top-k before it says, and how uneven their shares are."""

    def __init__(self, zipf: float) -> None:
        self.zipf, self.picks = zipf, 1
        self.met: dict[tuple[int, int], None] = {}  # (experts, chosen) in order

    def signature(self, signature: Signature) -> Signature:
        """The signature, with its routing if it is a product of groups."""
        if signature.op == "aten.topk":
            self.picks = signature.outputs[0].shape[-1]
        if signature.op not in GROUPED or signature.get("offsets") is None:
            return signature
        stack = next((spec for spec in (*signature.inputs, *signature.outputs) if len(spec.shape) > 2), None)
        if stack is not None:
            self.met[stack.shape[0], self.picks] = None
        return replace(signature, arguments=tuple((dict(signature.arguments) | {"picks": self.picks, "zipf": self.zipf}).items()))

    def kernels(self, kernels: Iterable[Kernel]) -> Iterator[Kernel]:
        """The kernels, with their routing."""
        for kernel in kernels:
            yield replace(kernel, signatures=tuple(map(self.signature, kernel.signatures)))

    def notes(self) -> tuple[str, ...]:
        """What was assumed."""
        spread = f"with probabilities after Zipf's law, exponent {self.zipf:g}" if self.zipf else "all experts equally likely"
        return tuple(f"each token goes to {picks} of {experts} experts, {spread}" for experts, picks in self.met)


def route_architecture(model: Architecture, zipf: float) -> Architecture:
    """The architecture with every product of experts routed."""
    router = Router(zipf)
    programs = {
        name: replace(program, kernels={fusion: tuple(router.kernels(kernels)) for fusion, kernels in program.kernels.items()})
        for name, program in model.programs.items()
    }
    return replace(model, programs=programs, decisions=(*model.decisions, *router.notes())) if router.met else model


def route_trace(trace: Trace, zipf: float) -> Trace:
    """The trace with every product of experts routed, call by call."""
    router, index, calls = Router(zipf), dict[Signature, int](), []
    for call in trace.calls:
        routed = router.signature(trace.signatures[call.signature])
        calls.append(replace(call, signature=index.setdefault(routed, len(index))))
    if not router.met:
        return trace
    return replace(trace, signatures=tuple(index), calls=tuple(calls), decisions=(*trace.decisions, *router.notes()))
