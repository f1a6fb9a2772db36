"""Reductions, optimizer updates and recurrent cells against their formulas, run on counting numbers: torch's value, the table's FLOP."""

from math import isclose

import pytest
import torch
from torch.nn import functional

from estimator.model.rules.table import flop_per_element
from tests.model.counting import count, exp, largest, log, number, reciprocal, rsqrt, sigmoid, sqrt, tanh, total


def maximum_of(xs):
    result = xs[0]
    for x in xs:
        result = largest(result, x)
    return result


def softmax(xs):
    top = maximum_of(xs)
    powers = [exp(x - top) for x in xs]
    scale = reciprocal(total(powers))
    return [power * scale for power in powers]


def log_softmax(xs):
    top = maximum_of(xs)
    offset = top + log(total([exp(x - top) for x in xs]))
    return [x - offset for x in xs]


def mean_and_spread(xs):
    mean = total(xs) * (1 / len(xs))
    return mean, rsqrt(total([(d := x - mean) * d for x in xs]) * (1 / len(xs)) + 1e-5)


def layer_norm(xs, ws, bs):
    mean, scale = mean_and_spread(xs)
    return [(x - mean) * scale * w + b for x, w, b in zip(xs, ws, bs)]


def layer_norm_slope(gs, xs, ws):
    """Gradient of the input; those of weight and bias are summed on the way. Mean and scale are saved by forward."""
    mean, scale = (number(value) for value in mean_and_spread([x._make(x.value) for x in xs]))
    xs[0].tally.clear()
    hats = [(x - mean) * scale for x in xs]
    weighted = [w * g for w, g in zip(ws, gs)]
    a = total(weighted) * (1 / len(xs))
    b = total([w * h for w, h in zip(weighted, hats)]) * (1 / len(xs))
    result = [scale * (w - a - h * b) for w, h in zip(weighted, hats)]
    for g, h in zip(gs, hats):
        (g * h) + 0.0  # gradient of the weight, added over rows
        g + 0.0  # gradient of the bias
    return result


def rms_norm(xs, ws):
    scale = rsqrt(total([x * x for x in xs]) * (1 / len(xs)) + 1e-5)
    return [x * scale * w for x, w in zip(xs, ws)]


def torch_layer_norm_slope(g, x, w):
    x = x.requires_grad_()
    functional.layer_norm(x, x.shape, w).backward(g)
    return x.grad


# name: (formula of rows, torch's function, number of rows)
REDUCTIONS = {
    "sum": (total, torch.sum, 1),
    "var_mean": (lambda xs: mean_and_spread(xs)[0], torch.mean, 1),
    "linalg_vector_norm": (lambda xs: sqrt(total([x * x for x in xs])), torch.linalg.vector_norm, 1),
    "logsumexp": (lambda xs: (top := maximum_of(xs)) + log(total([exp(x - top) for x in xs])), lambda x: torch.logsumexp(x, 0), 1),
    "_softmax": (softmax, lambda x: torch.softmax(x, 0), 1),
    "_log_softmax": (log_softmax, lambda x: torch.log_softmax(x, 0), 1),
    "_softmax_backward_data": (
        lambda gs, ys: [y * (g - s) for s in [total([g * y for g, y in zip(gs, ys)])] for g, y in zip(gs, ys)],
        lambda g, y: y * (g - (g * y).sum()),
        2,
    ),
    "mse_loss": (
        lambda xs, ys: total([(d := x - y) * d for x, y in zip(xs, ys)]),
        lambda x, y: functional.mse_loss(x, y, reduction="sum"),
        2,
    ),
    "native_layer_norm": (layer_norm, lambda x, w, b: functional.layer_norm(x, x.shape, w, b), 3),
    "native_layer_norm_backward": (layer_norm_slope, torch_layer_norm_slope, 3),
    "_fused_rms_norm": (rms_norm, lambda x, w: functional.rms_norm(x, x.shape, w, 1e-5), 2),
}


@pytest.mark.parametrize("name", REDUCTIONS)
def test_a_reduction_entry_is_what_its_formula_costs_per_element(name):
    formula, reference, rows = REDUCTIONS[name]
    generator = torch.Generator().manual_seed(0)
    short, long = (torch.rand(rows, size, generator=generator, dtype=torch.float64) for size in (8, 24))
    counts = [count(formula, *values.tolist()) for values in (short, long)]
    result = counts[0][0]
    got = [number(x) for x in result] if isinstance(result, list) else [number(result)]
    expected = reference(*short).detach().flatten().tolist()
    assert all(isclose(a, b, rel_tol=1e-6) for a, b in zip(got, expected, strict=True))
    entry = flop_per_element(name)  # what does not grow with the row vanishes per element
    assert [(b - a) / 16 for a, b in zip(counts[0][1:], counts[1][1:])] == [entry.vector, entry.special]


def adam(p, g, m, v, decay=None):
    """One step after the first, its bias corrections computed once for all parameters."""
    step, correction = 0.01 / (1 - 0.9**2), (1 - 0.999**2) ** -0.5
    if decay is not None:
        p = p * decay
    m = 0.9 * m + 0.1 * g
    v = 0.999 * v + 0.001 * (g * g)
    return p - step * m * reciprocal(correction * sqrt(v) + 1e-8)


UPDATES = {
    "sgd": (lambda p, g, m, v: p - 0.01 * g, lambda p: torch.optim.SGD([p], 0.01)),
    "momentum": (lambda p, g, m, v: p - 0.01 * (0.9 * m + g), lambda p: torch.optim.SGD([p], 0.01, momentum=0.9)),
    "adam": (adam, lambda p: torch.optim.Adam([p], 0.01)),
    "adamw": (lambda p, g, m, v: adam(p, g, m, v, 1 - 0.01 * 0.1), lambda p: torch.optim.AdamW([p], 0.01, weight_decay=0.1)),
}


@pytest.mark.parametrize("name", UPDATES)
def test_an_optimizer_entry_is_what_its_update_costs(name):
    update, make = UPDATES[name]
    parameter = torch.tensor([0.7], dtype=torch.float64, requires_grad=True)
    optimizer = make(parameter)
    states = [0.0, 0.0]
    for gradient in (0.3, 0.2):
        before, parameter.grad = parameter.item(), torch.tensor([gradient], dtype=torch.float64)
        optimizer.step()
        previous, states = states, _states(optimizer, parameter)
    result, vector, special = count(update, before, 0.2, *previous)
    assert isclose(number(result), parameter.item(), rel_tol=1e-9)
    entry = flop_per_element(name)
    assert (vector, special) == (entry.vector, entry.special)


def _states(optimizer, parameter):
    state = optimizer.state[parameter]
    first = state.get("exp_avg", state.get("momentum_buffer"))
    return [0.0 if value is None else value.item() for value in (first, state.get("exp_avg_sq"))]


def lstm_unit(xs, hs, bs, us, c):
    """One hidden unit: four gates as sums of input, recurrent and two bias terms."""
    i, f, g, o = (x + h + b + u for x, h, b, u in zip(xs, hs, bs, us))
    new = sigmoid(f) * c + sigmoid(i) * tanh(g)
    return sigmoid(o) * tanh(new)


def test_an_lstm_unit_costs_what_its_equations_do():
    x, h, b, u = ([0.1 * k + 0.05 * j for j in range(4)] for k in range(4))
    result, vector, special = count(lstm_unit, x, h, b, u, 0.4)
    ones = torch.ones(1, 1, dtype=torch.float64)
    columns = [torch.tensor(v, dtype=torch.float64)[:, None] for v in (x, h)]
    reference = torch.lstm_cell(ones, (ones, 0.4 * ones), *columns, *(torch.tensor(v, dtype=torch.float64) for v in (b, u)))[0]
    assert isclose(number(result), reference.item(), rel_tol=1e-9)
    assert (vector, special) == (flop_per_element("lstm").vector, flop_per_element("lstm").special)
