"""Estimates made by hand, whose figures a test can know: every entry is named and takes one second."""

from hypothesis import strategies as st

from estimator.hardware.operating_point import OperatingPoint
from estimator.report.estimate import Estimate
from estimator.run.entry import Entry
from estimator.run.phase import Phase
from tests.strategies import between

POINT = OperatingPoint(clock=1e9, voltage=0.8, temperature=330.0, power=100.0)


def entry(joules: float, module: str = "", name: str = "aten.mm", layers: tuple[int, ...] = ()) -> Entry:
    """A kernel of one launch, one second and one FLOP, half of whose joules leak."""
    energy = {("tensor units", "full_adder"): joules / 2, ("leakage", "leakage"): joules / 2}
    events = {("tensor units", "full_adder"): 1e12}
    return Entry(name, "matmul", module, layers, 1.0, 1.0, "tensor", energy, events, flop=1.0, traffic={"memory": 8.0})


def estimate_of(*phases: tuple[str, list[Entry]], point: OperatingPoint = POINT, **figures) -> Estimate:
    """An estimate of these phases, all at `point`."""
    made = tuple(Phase(name, 1.0, point, tuple(entries)) for name, entries in phases)
    return Estimate("a model", "a chip", "eager", {"kind": "Inference", "batch": 2}, made, **figures)


_parts = st.one_of(st.sampled_from(["model", "layers", "mlp", "<b>&"]), st.integers(0, 40).map(str))
_modules = st.lists(_parts, max_size=4).map(".".join)
_names = st.sampled_from(["aten.mm", "est.attention", "fused.mul+add", "waiting for the host"])
_entries = st.lists(st.builds(entry, between(1e-9, 1e9), _modules, _names), min_size=1, max_size=30)

estimates = st.lists(st.tuples(st.sampled_from(["prefill", "decode", "host"]), _entries), min_size=1, max_size=4).map(
    lambda phases: estimate_of(*phases)
)
