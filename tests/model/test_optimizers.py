"""Named optimizers: FLOP by their formulas, bytes of state, Muon's products; and optimizers of torch traced for real."""

from math import isclose

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from estimator.model.architecture import load_architecture
from estimator.model.optimizer import OPTIMIZERS, optimizer_kernels, optimizer_signature, state_bytes
from estimator.model.rules import work_of, work_of_signature
from estimator.model.rules.table import flop_per_element
from estimator.model.tracing import trace
from tests.model import networks
from tests.model.cases import empty
from tests.model.counting import count, largest, number, reciprocal, rsqrt, select, sqrt
from tests.model.signatures import tensor

sizes = st.integers(1, 64)


def state(name, *shape, format="fp32"):
    return state_bytes(optimizer_signature(name, (tensor(*shape, format=format),)))


@given(sizes, sizes, st.sampled_from(OPTIMIZERS))
def test_state_grows_with_the_parameters_and_never_beats_none(rows, columns, name):
    assert 0 <= state(name, rows, columns) <= state(name, rows + 1, columns) <= state(name, rows + 1, columns + 1)
    assert state(name, rows, columns, format="bf16") == state(name, rows, columns) + 4 * rows * columns  # the fp32 master copy


@given(sizes, sizes)
def test_state_per_parameter(rows, columns):
    n = rows * columns
    expected = {"sgd": 0, "momentum": 4, "adagrad": 4, "lion": 4, "muon": 4, "adam": 8, "adamw": 8}  # one or two fp32 numbers
    assert {name: state(name, rows, columns) for name in expected} == {name: size * n for name, size in expected.items()}
    assert state("adafactor", rows, columns) == 4 * (rows + columns)
    assert state("adafactor", 3, rows, columns) == 3 * 4 * (rows + columns)
    assert state("adafactor", n) == 4 * n


def test_eight_bit_moments_take_a_quarter():
    # Dettmers et al., ICLR 2022: 2 bytes per parameter instead of 8, and a scale of 4 bytes for each 2048 codes
    assert state("adamw8bit", 2048 * 100) == 100 * 2 * (2048 + 4)


def sign(x):
    return select(x < 0, -1.0, 1.0)


def lion(p, g, m):
    p = p * 0.999
    return p - 0.01 * sign(0.9 * m + 0.1 * g), 0.99 * m + 0.01 * g


def adagrad(p, g, s):
    s = s + g * g
    return p - 0.01 * g * reciprocal(sqrt(s) + 1e-10)


def adafactor(p, g, r, c, *sums):
    square = g * g + 1e-30
    sums = [square + sums[0], square + sums[1]]  # of its row and its column
    u = g * r * c
    return p - 0.01 * u, u * u + sums[0], p * p + sums[1]


def adafactor_vector(p, g, v):
    v = 0.9 * v + 0.1 * (g * g + 1e-30)
    u = g * rsqrt(v)
    return p - 0.01 * u, u * u + 0.0, p * p + 0.0


def muon(p, g, m):
    m = m + 0.05 * (g - m)
    u = g + 0.95 * (m - g)
    return p * 0.999 - 0.01 * (u * 0.5), u * u + 0.0


FORMULAS = {
    "lion": (lion, 3),
    "adagrad": (adagrad, 3),
    "adafactor": (adafactor, 6),
    "adafactor_vector": (adafactor_vector, 3),
    "muon": (muon, 3),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_an_entry_is_what_its_formula_costs(name):
    formula, arguments = FORMULAS[name]
    entry = flop_per_element(name)
    assert count(formula, *[0.1 * (i + 1) for i in range(arguments)])[1:] == (entry.vector, entry.special)


def test_eight_bit_adam_is_adam_and_two_conversions():
    def conversion(code, largest_so_far):
        value = code * 0.3
        position = 0
        for bit in range(8):  # binary search among 256 codes
            position += (value < 0.1 * bit).value
        return largest(largest_so_far, abs(value)), value * 3.3

    _, vector, special = count(conversion, 0.5, 0.2)
    assert flop_per_element("adamw8bit").vector == flop_per_element("adamw").vector + 2 * vector
    assert flop_per_element("adamw8bit").special == flop_per_element("adamw").special + special


def test_adagrad_is_torchs():
    p = torch.tensor([0.7], dtype=torch.float64, requires_grad=True)
    p.grad = torch.tensor([0.2], dtype=torch.float64)
    torch.optim.Adagrad([p], 0.01).step()
    assert isclose(number(count(adagrad, 0.7, 0.2, 0.0)[0]), p.item(), rel_tol=1e-9)


@given(st.integers(2, 40), st.integers(2, 40))
def test_muon_adds_the_products_of_its_iteration(rows, columns):
    # Jordan, "Muon: an optimizer for hidden layers in neural networks", 2024: 5 steps of 2 (2 n m² + m³) FLOP, m <= n
    m, n = sorted((rows, columns))
    traced = trace(nn.Linear(columns, rows), empty(3, columns), backward=True, optimizer="muon")
    products = sum(row["matmul_flop"] for row in traced.rows("phase") if row["name"] == "optimizer")
    assert products == 5 * 2 * (2 * n * m**2 + m**3)
    assert [s["name"] for s in traced.signatures if s.op == "est.optimizer_step"] == ["muon", "adamw"]  # the bias is no matrix


def test_muon_of_a_bundled_model_is_muon_of_its_trace():
    gpt2 = load_architecture("gpt2")
    kernels = optimizer_kernels("muon", gpt2.parameters, gpt2.format, gpt2.programs["training"].kernels["eager"])
    traced = trace(networks.gpt2(), networks.token_ids(1, 8), backward=True, optimizer="muon")
    (row,) = [row for row in traced.rows("phase") if row["name"] == "optimizer"]
    for quantity, mine in (("matmul_flop", "matmul_flop"), ("flop", "flop"), ("read", "read"), ("write", "write")):
        assert isclose(sum(k.launches * getattr(work_of(k), mine) for k in kernels), row[quantity], rel_tol=1e-12)
    # 12 layers of 768 x 2304, 768 x 768 and twice 768 x 3072
    assert row["matmul_flop"] == 12 * sum(5 * 2 * (2 * n * 768**2 + 768**3) for n in (2304, 768, 3072, 3072))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_updates_all_parameters_of_a_bundled_model(name):
    model = load_architecture("llama-3.1-8b")
    kernels = optimizer_kernels(name, model.parameters, model.format, model.programs["training"].kernels["fused"])
    steps = [signature for kernel in kernels for signature in kernel.signatures if signature.op == "est.optimizer_step"]
    assert sum(spec.elements for step in steps for spec in step["parameters"]) == model.parameters


def test_adafactor_of_an_8b_model_keeps_almost_nothing_but_the_master_copy():
    model = load_architecture("llama-3.1-8b")
    (kernel,) = optimizer_kernels("adafactor", model.parameters, model.format, model.programs["training"].kernels["eager"])
    kept = state_bytes(kernel.signatures[0]) - 4 * model.parameters
    # rows and columns: 32 layers of q, o 4096², k, v 4096 x 1024, three 4096 x 14336, head and embedding 128256 x 4096; 65 norms in full
    layer = 2 * (4096 + 4096) + 2 * (4096 + 1024) + 3 * (4096 + 14336)
    assert kept == 4 * (32 * layer + 2 * (128256 + 4096) + 65 * 4096)


def test_adafactor_reads_its_gradient_in_three_passes():
    work = work_of_signature(optimizer_signature("adafactor", (tensor(64, 32),)))
    assert work.read == (3 * 4 + 2 * 4) * 64 * 32 + 4 * (64 + 32)
    assert work.write == 4 * 64 * 32 + 4 * (64 + 32)


def matrix_and_bias():
    return nn.Linear(32, 16)


# FLOP per element of eager steps, read off torch's single-tensor implementations
@pytest.mark.parametrize(
    ("make", "operations"),
    [
        (lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True, foreach=False), {"aten.mul_", "aten.add_", "aten.add"}),
        (lambda p: torch.optim.Adagrad(p, foreach=False), {"aten.addcmul_", "aten.sqrt", "aten.addcdiv_"}),
        (lambda p: torch.optim.RMSprop(p, foreach=False), {"aten.addcmul_", "aten.sqrt", "aten.addcdiv_"}),
        (lambda p: torch.optim.Adadelta(p, foreach=False), {"aten.sqrt_", "aten.div_"}),
        (lambda p: torch.optim.Adafactor(p, foreach=False), {"aten.linalg_vector_norm"}),
        (lambda p: torch.optim.Muon([q for q in p if q.dim() == 2]), {"aten.mm", "aten.addmm"}),
    ],
)
def test_optimizers_of_torch_are_traced_for_real(make, operations):
    model = matrix_and_bias()
    traced = trace(model, empty(4, 32), backward=True, optimizer=make(list(model.parameters())))
    met = {traced.signatures[call.signature].op for call in traced.calls if call.phase == "optimizer"}
    assert operations <= met
    assert traced.coverage.unknown == ()


def test_torchs_muon_has_the_products_of_ours():
    model = nn.Linear(48, 16, bias=False)
    steps = [
        trace(model, empty(4, 48), backward=True, optimizer=o).rows("phase")[-1] for o in ("muon", torch.optim.Muon(model.parameters()))
    ]
    assert steps[0]["matmul_flop"] == steps[1]["matmul_flop"] > 0


def test_nesterov_costs_another_pass_of_arithmetic_over_the_gradient():
    def step(nesterov):
        model = matrix_and_bias()
        optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, nesterov=nesterov)
        return trace(model, empty(4, 32), backward=True, optimizer=optimizer).rows("phase")[-1]["flop"]

    assert step(True) >= step(False) + 32 * 16 + 16


def test_an_optimizer_that_reads_norms_says_what_was_taken_for_them():
    model = matrix_and_bias()
    traced = trace(model, empty(4, 32), backward=True, optimizer=torch.optim.Adafactor(model.parameters()))
    assert any("each was taken as 1" in decision for decision in traced.decisions)
