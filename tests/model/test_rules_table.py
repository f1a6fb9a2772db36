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
