"""Kernels at sizes: whatever was asked before, the answer is that of a fresh substitution, and what did not change is not made again."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from estimator import load_architecture
from estimator.model.polynomial import Polynomial
from estimator.model.program import Program
from estimator.model.substitution import Template
from estimator.model.work import Kernel, Signature, TensorSpec

DECODE = load_architecture("llama-3.2-1b").programs["decode"].kernels["serving"]
SIZES = st.fixed_dictionaries({"batch": st.sampled_from([1, 1.0, 2, 7.5]), "past": st.sampled_from([0, 1, 100, 100.0])})


@given(st.lists(SIZES, min_size=1, max_size=4))
def test_earlier_sizes_leave_no_trace(asked):
    shared = Template(DECODE)
    for sizes in asked:
        found, fresh = shared.at(sizes), Template(DECODE).at(sizes)
        assert found == fresh
        assert repr(found) == repr(fresh)  # whole numbers stay whole


def test_kernels_that_do_not_see_the_context_are_the_same_objects():
    shared = Template(DECODE)
    first, second = shared.at({"batch": 1, "past": 10}), shared.at({"batch": 1, "past": 20})
    differ = {kernel.kind for kernel, other in zip(first, second) if kernel is not other}
    assert "attention" in differ and "matmul" not in differ


def test_equal_tensors_become_one():
    batch = Polynomial.symbol("batch")
    kernels = tuple(_relu(2 * batch, name) for name in ("first", "second"))
    first, second = Template(kernels).at({"batch": 3})
    assert first.signatures[0] is second.signatures[0]
    assert (first.name, first.signatures[0].outputs[0].shape) == ("first", (6,))


def test_a_polynomial_without_sizes_becomes_a_number():
    (kernel,) = Program((), {"eager": (_relu(Polynomial.constant(4), "fixed"),)}).at("eager")
    assert kernel == _relu(4, "fixed") and type(kernel.signatures[0].outputs[0].shape[0]) is int
    (again,) = Program(("batch",), {"eager": (replace(kernel, count=Polynomial.symbol("batch")),)}).at("eager", batch=2)
    assert again.count == 2


def _relu(size, name):
    spec = TensorSpec((size,), "fp32")
    return Kernel(name, "pointwise", "forward", "", (Signature("aten.relu", (("self", spec),), (spec,)),))
