"""Laws that hold for any network: closed forms of random stacks, linearity in batch, and what must not matter."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from estimator.model.tracing import trace

widths = st.lists(st.integers(1, 64), min_size=2, max_size=6)
channels = st.lists(st.integers(1, 8), min_size=2, max_size=5)
batches = st.integers(1, 32)
few = settings(max_examples=15)


def mlp(sizes):
    layers = []
    for before, after in zip(sizes, sizes[1:]):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers)


def flop(traced, phase):
    return sum(row["matmul_flop"] for row in traced.rows("phase") if row["name"] == phase)


def same_work(left, right):
    return [(left.signatures[c.signature], c.phase) for c in left.calls] == [(right.signatures[c.signature], c.phase) for c in right.calls]


@few
@given(widths, batches)
def test_linear_stack_has_two_flop_per_weight_and_row_and_twice_that_in_backward(sizes, batch):
    traced = trace(mlp(sizes), torch.randn(batch, sizes[0], requires_grad=True), backward=True)
    weights = sum(before * after for before, after in zip(sizes, sizes[1:]))
    assert flop(traced, "forward") == 2 * batch * weights
    assert flop(traced, "backward") == 2 * flop(traced, "forward")
    assert traced.parameters == weights + sum(sizes[1:])


@few
@given(channels, batches, st.integers(1, 3), st.integers(8, 20))
def test_convolution_stack_has_two_flop_per_weight_and_output_position(sizes, batch, kernel, side):
    model = nn.Sequential(*(nn.Conv2d(before, after, kernel, padding=kernel // 2) for before, after in zip(sizes, sizes[1:])))
    expected = 0
    for before, after in zip(sizes, sizes[1:]):
        side += 2 * (kernel // 2) - kernel + 1
        expected += 2 * batch * side**2 * before * after * kernel**2
    first = side - (len(sizes) - 1) * (2 * (kernel // 2) - kernel + 1)
    traced = trace(model, torch.empty(batch, sizes[0], first, first, requires_grad=True), backward=True)
    assert flop(traced, "forward") == expected
    assert flop(traced, "backward") == 2 * expected


@few
@given(widths, batches, st.integers(2, 5))
def test_matrix_flop_and_activations_are_linear_in_batch(sizes, batch, times):
    once, more = (trace(mlp(sizes), torch.empty(rows, sizes[0]), backward=True) for rows in (batch, times * batch))
    assert more.matmul_flop == times * once.matmul_flop
    assert len(more.calls) == len(once.calls)


@few
@given(widths, batches)
def test_real_meta_and_fake_weights_trace_alike(sizes, batch):
    from torch._subclasses.fake_tensor import FakeTensorMode

    with torch.device("meta"):
        meta = mlp(sizes)
    with FakeTensorMode():
        fake = mlp(sizes)
    traces = [trace(model, torch.empty(batch, sizes[0]), backward=True, optimizer="adamw") for model in (mlp(sizes), meta, fake)]
    assert traces[0] == traces[1] == traces[2]


@few
@given(widths, batches)
def test_nesting_and_renaming_change_paths_alone(sizes, batch):
    class Renamed(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.another_name = nn.Sequential(inner)

        def forward(self, x):
            return self.another_name(x)

    plain, nested = mlp(sizes), Renamed(mlp(sizes))
    left, right = (trace(model, torch.empty(batch, sizes[0]), backward=True) for model in (plain, nested))
    assert same_work(left, right)
    assert [f"another_name.0.{call.module}" if call.module else "" for call in left.calls] == [call.module for call in right.calls]


@few
@given(widths, batches, st.sampled_from(["sgd", "momentum", "adam", "adamw"]))
def test_an_optimizer_step_adds_one_record_and_changes_nothing_else(sizes, batch, optimizer):
    without, with_step = (trace(mlp(sizes), torch.empty(batch, sizes[0]), backward=True, optimizer=o) for o in (None, optimizer))
    assert with_step.calls[:-1] == without.calls
    step = with_step.signatures[with_step.calls[-1].signature]
    assert (step.op, step["name"], with_step.calls[-1].phase) == ("est.optimizer_step", optimizer, "optimizer")
    assert sum(spec.elements for spec in step["parameters"]) == with_step.trainable_parameters


@few
@given(widths, batches)
def test_rows_sum_to_the_totals(sizes, batch):
    traced = trace(mlp(sizes), torch.empty(batch, sizes[0]), backward=True, optimizer="sgd")
    for rows in (*map(traced.rows, ("op", "module", "phase", "call")), traced.by_module(), traced.by_module(1), traced.by_module(0)):
        assert sum(row["flop"] for row in rows) == traced.flop
        assert sum(row["matmul_flop"] for row in rows) == traced.matmul_flop
        assert sum(row["calls"] for row in rows) == len(traced.calls)
