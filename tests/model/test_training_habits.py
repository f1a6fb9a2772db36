"""What people do around a training step falls out of tracing it; and what they bring that cannot be traced says so."""

import pytest
import torch
from torch import nn

from estimator.errors import TraceError
from estimator.model.rules import moved, rule
from estimator.model.rules.registry import RULES
from estimator.model.tracing import trace
from tests.model.cases import LINEAR, Calls, D, empty, linear, product, with_gradient


def flop(traced, phase):
    return sum(row["matmul_flop"] for row in traced.rows("phase") if row["name"] == phase)


def tokens(**options):
    return empty(2, 16, D, **options)


def test_frozen_layers_have_no_weight_gradient():
    model = nn.Sequential(linear(), nn.Tanh(), linear(), nn.Tanh(), linear())
    model[:4].requires_grad_(False)
    traced = trace(model, tokens(), backward=True, optimizer="adamw")
    assert flop(traced, "backward") == LINEAR  # only the last layer's weight; nothing before it needs a gradient
    assert (traced.parameters, traced.trainable_parameters) == (3 * D * D, D * D)
    model[:4].requires_grad_(True)
    model[4].requires_grad_(False)
    assert flop(trace(model, tokens(), backward=True), "backward") == (1 + 2 + 1) * LINEAR


def test_low_rank_adapters_train_beside_a_frozen_weight():
    # Hu et al., LoRA, ICLR 2022: h = W x + B A x with rank 4; W is frozen, yet passes the gradient on
    parts = {"a": nn.Linear(D, 4, bias=False), "b": nn.Linear(4, D, bias=False), "w": linear().requires_grad_(False)}
    traced = trace(Calls(lambda m, x: m.w(x) + m.b(m.a(x)), **parts), with_gradient(2, 16, D), backward=True, optimizer="adamw")
    adapter = product(2 * 16, 4, D)
    assert flop(traced, "forward") == LINEAR + 2 * adapter
    assert flop(traced, "backward") == LINEAR + 4 * adapter
    assert traced.trainable_parameters == 2 * 4 * D
    (step,) = [s for s in traced.signatures if s.op == "est.optimizer_step"]
    assert sum(spec.elements for spec in step["parameters"]) == 2 * 4 * D


def test_accumulated_gradients_multiply_the_passes_and_not_the_step():
    def accumulated(m, x):
        return sum(m.layer(part).pow(2).mean() for part in x.unbind())

    micro = trace(Calls(accumulated, layer=linear()), empty(4, 2, 16, D), backward=True, optimizer="adamw")
    single = trace(linear(), tokens(), backward=True, optimizer="adamw")
    assert flop(micro, "forward") == 4 * flop(single, "forward")
    assert flop(micro, "backward") == 4 * flop(single, "backward")
    steps = [row["flop"] for traced in (micro, single) for row in traced.rows("phase") if row["name"] == "optimizer"]
    assert steps[0] == steps[1]


def test_an_exponential_moving_average_is_traced_with_its_traffic():
    class Averaged(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = linear()
            self.register_buffer("average", torch.zeros(D, D))

        def forward(self, x):
            with torch.no_grad():
                self.average.lerp_(self.layer.weight, 0.01)
            return self.layer(x)

    (row,) = [row for row in trace(Averaged(), tokens(), backward=True).rows("op") if row["name"] == "aten.lerp_"]
    assert (row["read"], row["write"]) == (2 * 4 * D * D, 4 * D * D)


def test_python_control_flow_takes_the_branch_that_it_would():
    model = Calls(lambda m, x, deep: m.a(m.a(x)) if deep and x.shape[0] > 1 else m.a(x), a=linear())
    assert [trace(model, tokens(), deep).matmul_flop for deep in (True, False)] == [2 * LINEAR, LINEAR]


def test_custom_autograd_functions_are_traced_both_ways():
    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, w):
            ctx.save_for_backward(x, w)
            return x @ w

        @staticmethod
        def backward(ctx, grad):
            _, w = ctx.saved_tensors
            return grad @ w.mT, None  # leaves the weight's gradient out

    traced = trace(Calls(lambda m, x: Square.apply(x, m.w), w=nn.Parameter(empty(D, D))), with_gradient(2, 16, D), backward=True)
    assert (flop(traced, "forward"), flop(traced, "backward")) == (LINEAR, LINEAR)


def test_an_operation_of_one_s_own_needs_five_lines():
    @torch.library.custom_op("mylib::swiglu", mutates_args=())
    def swiglu(gate: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
        return nn.functional.silu(gate) * up

    swiglu.register_fake(lambda gate, up: torch.empty_like(gate))
    model = Calls(lambda _, x: swiglu(x, x))
    unknown = trace(model, tokens())
    assert unknown.coverage.unknown == (("mylib.swiglu", 1),)
    assert "no rule for: mylib.swiglu (1)" in unknown.summary()
    try:

        @rule("mylib.swiglu")
        def work(op):
            return moved(op, vector=3 * op.outputs[0].elements, special=2 * op.outputs[0].elements)

        known = trace(model, tokens())
        assert known.coverage.unknown == ()
        assert known.flop == 5 * 2 * 16 * D
    finally:
        del RULES["mylib.swiglu"]


def packed(model, kind):
    return torch.ao.quantization.quantize_dynamic(model, {kind}, dtype=torch.qint8)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_dynamically_quantised_layers_multiply_in_int8():
    model = packed(nn.Sequential(nn.Linear(D, 3 * D), nn.ReLU(), nn.Linear(3 * D, D, bias=False)), nn.Linear)
    traced = trace(model, tokens())
    products = [signature for signature in traced.signatures if signature.op == "aten._int_mm"]
    assert traced.matmul_flop == 2 * product(2 * 16, D, 3 * D)
    assert [signature["mat2"].bytes for signature in products] == [3 * D * D, 3 * D * D]  # one byte a weight
    assert traced.coverage.unknown == ()
    assert f"int8 weight of ({3 * D}, {D}) in '0' is no parameter of the module" in traced.decisions


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_other_packed_modules_of_torch_say_how_to_count_them():
    with pytest.raises(TraceError, match=r"quantized.* trace the float module and `quantize` the trace"):
        trace(packed(nn.Sequential(nn.LSTM(D, D)), nn.LSTM), tokens())
