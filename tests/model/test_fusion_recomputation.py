"""What training stores for backward: small streams with every byte derived by hand."""

from estimator.model.fusion import kernels, unfold
from estimator.model.rules import work_of
from tests.model.streams import Stream, moved

N = 8 * 16 * 4  # bytes of an 8x16 tensor


def traffic(trace):
    """(bytes read, bytes written) of every launch, by phase and name."""
    works = [(kernel, work_of(kernel)) for kernel in unfold(kernels(trace, "fused"))]
    return {(kernel.phase, kernel.name): (work.read, work.write) for kernel, work in works}


def gated_unit():
    """silu(gate) * up between products, and its backward."""
    s = Stream()
    x, w = s.input(8, 4), s.input(4, 16)
    gate, up = s.mm(x, w), s.mm(x, w)
    activated = s.unary("silu", gate)
    s.mm(s.binary("mul", activated, up), s.input(16, 4))
    gradient = s.mm(s.input(8, 4), w, phase="backward")
    s.binary("mul", gradient, activated, phase="backward")
    s.call("aten.silu_backward", (8, 16), grad_output=s.binary("mul", gradient, up, phase="backward"), self=gate, phase="backward")
    return s.trace()


def test_an_activation_is_computed_again_from_its_stored_input():
    found = traffic(gated_unit())
    assert found["forward", "fused.silu+mul"] == (2 * N, N)  # gate and up in, the product out; silu(gate) is not stored
    assert found["backward", "fused.mul+silu_backward"] == (3 * N, 2 * N)  # gradient, up, and gate for both its uses


def test_recomputation_saves_bytes_and_computes_the_same():
    assert moved(kernels(gated_unit(), "fused")) < moved(kernels(gated_unit(), "eager"))


def test_a_statistic_is_stored_and_the_normalised_row_is_not():
    s = Stream()
    x, w = s.input(8, 16), s.input(16)
    scale = s.unary("rsqrt", s.call("aten.mean", (8, 1), self=s.call("aten.pow", (8, 16), self=x, exponent=2), dim=(1,)))
    row = s.binary("mul", x, scale)
    s.mm(s.binary("mul", row, w), s.input(16, 4))
    gradient = s.mm(s.input(8, 4), s.input(4, 16), phase="backward")
    s.binary("mul", gradient, row, phase="backward")
    found = traffic(s.trace())
    # forward reads x and w, writes the weighted row and the 8 scales: 32 bytes; backward multiplies x by them again
    assert found["forward", "fused.pow+mean+rsqrt+mul"] == (N + 64, N + 32)
    assert found["backward", "aten.mul"] == (N + N + 32, N)


def scaled_often(scales, uses):
    """x scaled by so many vectors of 64 bytes, which backward needs in as many launches."""
    s = Stream()
    scaled = s.mm(s.input(8, 4), s.input(4, 16))
    for _ in range(scales):
        scaled = s.binary("mul", scaled, s.input(16))
    s.mm(s.unary("exp", scaled), s.input(16, 4))
    gradient = s.input(8, 16)
    for _ in range(uses):
        gradient = s.binary("mul", s.mm(gradient, s.input(16, 16), phase="backward"), scaled, phase="backward")
    return [kernel for kernel in unfold(kernels(s.trace(), "fused")) if kernel.name == "aten.mul" and kernel.phase == "backward"]


def test_what_takes_few_tensors_to_compute_is_computed_for_each_use():
    work = [work_of(kernel) for kernel in scaled_often(scales=3, uses=2) for _ in range(kernel.count)]
    assert [(each.read, each.write) for each in work] == [(2 * N + 3 * 64, N)] * 2  # the gradient, x and three scales


def test_what_takes_many_tensors_to_compute_is_computed_once_and_written_out():
    work = [work_of(kernel) for kernel in scaled_often(scales=4, uses=2) for _ in range(kernel.count)]
    # the first use reads x and four scales, writes the product and reads it; the second reads it
    assert [(each.read, each.write) for each in work] == [(N + 4 * 64 + 2 * N, 2 * N), (2 * N, N)]


def test_what_is_used_in_one_pass_is_not_written_out():
    (kernel,) = scaled_often(scales=4, uses=1)
    assert (work_of(kernel).read, work_of(kernel).write) == (2 * N + 4 * 64, N)


def test_what_a_library_kernel_of_backward_needs_is_stored():
    s = Stream()
    activated = s.unary("silu", s.mm(s.input(8, 4), s.input(4, 16)))
    s.mm(activated, s.input(16, 4))
    s.mm(s.input(4, 8), activated, phase="backward")
    assert traffic(s.trace())["forward", "aten.silu"] == (N, N)


def test_a_result_that_costs_more_to_compute_than_to_store_is_stored():
    s = Stream()
    tensors = [s.mm(s.input(8, 4), s.input(4, 16)) for _ in range(4)]
    total = tensors[0]
    for other in tensors[1:]:
        total = s.binary("add", total, other)
    s.mm(s.unary("exp", total), s.input(16, 4))
    s.unary("silu", total, phase="backward")
    # recomputing the sum would read four tensors, more than writing and reading one
    assert traffic(s.trace())["backward", "aten.silu"] == (N, N)


def test_an_output_of_the_model_is_stored():
    s = Stream()
    gate = s.mm(s.input(8, 4), s.input(4, 16))
    activated = s.unary("silu", gate)
    s.unary("exp", activated, phase="backward")
    assert traffic(s.trace(activated))["forward", "aten.silu"] == (N, N)


def test_inference_recomputes_nothing():
    s = Stream()
    a = s.unary("exp", s.input(8, 16))
    s.unary("silu", s.mm(a, s.input(16, 16)))
    s.binary("add", a, a)
    assert moved(kernels(s.trace(), "fused")) <= moved(kernels(s.trace(), "eager"))
