"""Hypothesis strategies that more than one test folder draws from: physical quantities in SI units, shapes and settings.

The ranges are wider than any chip or model of today, so that a law which holds here holds for next year's profiles too.
"""

from hypothesis import strategies as st

from estimator.model.work import BYTES, PHASES, MatrixProduct, TensorSpec, Work


def between(low: float, high: float) -> st.SearchStrategy[float]:
    """Finite floats in a closed range."""
    return st.floats(low, high, allow_nan=False, allow_infinity=False)


voltages = between(0.4, 1.4)  # V, supply
thresholds = between(0.15, 0.38)  # V, always below the lowest supply
temperatures = between(250.0, 400.0)  # K, junction
frequencies = between(1e8, 5e9)  # Hz
capacitances = between(1e-18, 1e-6)  # F, from one gate to a whole die
activities = between(0.0, 1.0)
times = between(1e-9, 1e6)  # s
shares = between(0.01, 1.0)
counts = between(1.0, 1e18)  # events, FLOP, bytes

dimensions = st.integers(1, 4096)
batches = st.integers(1, 1024)
sequence_lengths = st.integers(1, 32768)
formats = st.sampled_from(sorted(BYTES))
float_formats = st.sampled_from([name for name in sorted(BYTES) if name.startswith(("fp", "bf", "tf"))])
phases = st.sampled_from(PHASES)

not_positive_numbers = st.one_of(st.just(0.0), st.floats(max_value=-1e-300), st.just(float("nan")), st.just(float("inf")))

tensors = st.builds(TensorSpec, st.lists(dimensions, min_size=1, max_size=4).map(tuple), formats)
products = st.builds(MatrixProduct, dimensions, dimensions, dimensions, dimensions)
works = st.builds(Work, st.lists(products, max_size=3).map(tuple), *[st.integers(0, 10**15)] * 4)
