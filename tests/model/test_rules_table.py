"""The per-element table against its formulas: each is run on counting numbers, must give torch's value and the table's FLOP."""

import tomllib
from math import isclose, pi
from math import sqrt as root
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from estimator.errors import UnknownName
from estimator.model import rules
from estimator.model.rules.table import flop_per_element, sections
from tests.model.counting import (
    cos,
    count,
    erf,
    exp,
    exp2,
    horner,
    largest,
    log,
    log2,
    number,
    reciprocal,
    rsqrt,
    select,
    sigmoid,
    sin,
    smallest,
    sqrt,
    tanh,
    total,
)

aten = torch.ops.aten
K = root(2 / pi)
CUBIC = 0.044715


def gelu_tanh_slope(g, x):
    square = x * x
    t = tanh(x * K * (square * CUBIC + 1))
    return g * (0.5 * (t + 1) + 0.5 * x * (1 - t * t) * (K * (square * (3 * CUBIC) + 1)))


def tan(x):
    turn = x * 1.0
    return sin(turn) * reciprocal(cos(turn))


def cosh(x):
    e = exp(x)
    return (e + reciprocal(e)) * 0.5


def mish(x):
    return x * tanh(log(exp(x) + 1))


def silu_slope(g, x):
    s = sigmoid(x)
    return g * (s * ((1 - s) * x + 1))


# name: (formula, torch's function, arguments)
POINTWISE = {
    "add": (lambda a, b: a + b, torch.add, (1.5, 0.25)),
    "mul": (lambda a, b: a * b, torch.mul, (1.5, 0.25)),
    "div": (lambda a, b: a / b, torch.div, (1.5, 0.25)),
    "remainder": (lambda a, b: a - b * _floor(a / b), torch.remainder, (7.5, 2.0)),
    "clamp": (lambda x: smallest(largest(x, -1.0), 1.0), lambda x: torch.clamp(x, -1, 1), (1.7,)),
    "exp": (exp, torch.exp, (0.7,)),
    "exp2": (exp2, torch.exp2, (0.7,)),
    "expm1": (lambda x: exp(x) - 1, torch.expm1, (0.7,)),
    "log": (log, torch.log, (0.7,)),
    "log2": (log2, torch.log2, (0.7,)),
    "log1p": (lambda x: log(x + 1), torch.log1p, (0.7,)),
    "sqrt": (sqrt, torch.sqrt, (0.7,)),
    "rsqrt": (rsqrt, torch.rsqrt, (0.7,)),
    "reciprocal": (reciprocal, torch.reciprocal, (0.7,)),
    "tan": (tan, torch.tan, (0.7,)),
    "tanh": (tanh, torch.tanh, (0.7,)),
    "cosh": (cosh, torch.cosh, (0.7,)),
    "asinh": (lambda x: log(x + sqrt(x * x + 1)), torch.asinh, (0.7,)),
    "acosh": (lambda x: log(x + sqrt(x * x - 1)), torch.acosh, (1.7,)),
    "atanh": (lambda x: log((x + 1) * reciprocal(1 - x)) * 0.5, torch.atanh, (0.7,)),
    "sigmoid": (sigmoid, torch.sigmoid, (0.7,)),
    "erf": (erf, torch.erf, (0.7,)),
    "pow": (lambda a, b: exp2(b * log2(a)), torch.pow, (1.7, 2.3)),
    "hypot": (lambda a, b: sqrt(a * a + b * b), torch.hypot, (3.0, 4.0)),
    "logit": (lambda x: log(x * reciprocal(1 - x)), torch.logit, (0.7,)),
    "logaddexp": (lambda a, b: largest(a, b) + log(exp(-abs(a - b)) + 1), torch.logaddexp, (0.7, 0.2)),
    "addcmul": (lambda a, b, c: a + 2.0 * b * c, lambda a, b, c: torch.addcmul(a, b, c, value=2), (0.7, 0.2, 0.3)),
    "addcdiv": (lambda a, b, c: a + 2.0 * b * reciprocal(c), lambda a, b, c: torch.addcdiv(a, b, c, value=2), (0.7, 0.2, 0.3)),
    "lerp": (lambda a, b, t: a + t * (b - a), torch.lerp, (0.7, 0.2, 0.3)),
    "relu": (lambda x: largest(x, 0.0), torch.relu, (0.7,)),
    "leaky_relu": (lambda x: select(x < 0.0, 0.01 * x, x), functional.leaky_relu, (-0.7,)),
    "elu": (lambda x: select(x < 0.0, 1.0 * (exp(x) - 1), x), functional.elu, (-0.7,)),
    "silu": (lambda x: x * sigmoid(x), functional.silu, (0.7,)),
    "silu_backward": (silu_slope, aten.silu_backward, (0.3, 0.7)),
    "gelu": (lambda x: 0.5 * x * (erf(x * 0.5**0.5) + 1), functional.gelu, (0.7,)),
    "gelu_tanh": (lambda x: 0.5 * x * (tanh(x * K * (x * x * CUBIC + 1)) + 1), lambda x: functional.gelu(x, approximate="tanh"), (0.7,)),
    "gelu_backward": (
        lambda g, x: g * (0.5 * (erf(x * 0.5**0.5) + 1) + x * (K / 2 * exp2(x * x * (-0.5 * 1.4426950408889634)))),
        aten.gelu_backward,
        (0.3, 0.7),
    ),
    "gelu_tanh_backward": (gelu_tanh_slope, lambda g, x: aten.gelu_backward(g, x, approximate="tanh"), (0.3, 0.7)),
    "mish": (mish, functional.mish, (0.7,)),
    "softplus": (lambda x: select(x * 1.0 < 20.0, log(exp(x) + 1) * 1.0, x), functional.softplus, (0.7,)),
    "hardswish": (lambda x: x * smallest(largest(x + 3, 0.0), 6.0) * (1 / 6), functional.hardswish, (0.7,)),
    "hardsigmoid": (lambda x: smallest(largest(x + 3, 0.0), 6.0) * (1 / 6), functional.hardsigmoid, (0.7,)),
    "log_sigmoid_forward": (lambda x: smallest(x, 0.0) - log(exp(-abs(x)) + 1), functional.logsigmoid, (0.7,)),
    "sigmoid_backward": (lambda g, y: g * y * (1 - y), aten.sigmoid_backward, (0.3, 0.7)),
    "tanh_backward": (lambda g, y: g * (1 - y * y), aten.tanh_backward, (0.3, 0.7)),
    "mse_loss_backward": (lambda g, x, y: g * 2.0 * (x - y), lambda g, x, y: aten.mse_loss_backward(g, x, y, 0), (0.3, 0.7, 0.2)),
}


def _floor(x):
    return x._make(float(int(x.value)))


@pytest.mark.parametrize("name", POINTWISE)
def test_a_pointwise_entry_is_what_its_formula_costs(name):
    formula, reference, arguments = POINTWISE[name]
    result, vector, special = count(formula, *arguments)
    expected = reference(*(torch.tensor(x, dtype=torch.float64) for x in arguments))
    assert isclose(number(result), float(expected), rel_tol=1e-6)
    entry = flop_per_element(name)
    assert (vector, special) == (entry.vector, entry.special)


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


def test_every_entry_has_counts_and_says_its_formula():
    for section, entries in sections().items():
        for name, entry in entries.items():
            assert entry.vector >= 0 and entry.special >= 0 and entry.note, f"{section}.{name}"


def test_names_are_unique_across_sections():
    names = [name for entries in sections().values() for name in entries]
    assert len(names) == len(set(names))


def test_every_pointwise_reduction_and_scan_entry_is_a_registered_operation():
    assert all(rules.is_known(f"aten.{name}") for section in ("pointwise", "reduction", "scan") for name in sections()[section])


def test_the_table_states_its_source_and_status():
    table = tomllib.loads(Path(rules.__file__).with_name("pointwise.toml").read_text(encoding="utf-8"))
    assert table["status"] == "derived"
    assert "formula" in table["source"]


def test_an_unknown_entry_lists_the_nearest():
    with pytest.raises(UnknownName, match="unknown per-element entry 'silo'. Nearest: silu"):
        flop_per_element("silo")


def test_horner_needs_one_multiply_add_per_coefficient():
    assert count(lambda x: horner(x, (1.0, 2.0, 3.0)), 2.0)[1:] == (4, 0)
