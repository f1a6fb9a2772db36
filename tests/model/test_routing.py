"""How many experts a step touches: by hand, evenly or after Zipf's law, and what that changes."""

from itertools import combinations
from math import isclose

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator import Inference, estimate, quantize, route
from estimator.errors import InvalidSetting
from estimator.model.architecture import load_architecture
from estimator.model.rules import work_of
from estimator.model.rules.arithmetic import distinct_picks
from estimator.model.tracing import trace
from tests.model import networks

experts, tokens, exponents = st.integers(2, 64), st.integers(1, 500), st.floats(0.05, 3)


def chosen(kinds):
    return st.integers(1, kinds)


@given(st.data(), experts, tokens, exponents)
def test_uneven_routing_touches_fewer_experts(data, kinds, count, zipf):
    picks = data.draw(chosen(kinds))
    even, uneven = (distinct_picks(kinds, count * picks, picks, s) for s in (0, zipf))
    assert uneven <= even * (1 + 1e-9)
    assert picks * (1 - 1e-9) <= uneven <= kinds
    assert distinct_picks(kinds, (count + 1) * picks, picks, zipf) >= uneven * (1 - 1e-9)


@given(st.data(), experts, exponents | st.just(0))
def test_one_token_touches_exactly_its_own_experts(data, kinds, zipf):
    picks = data.draw(chosen(kinds))
    assert isclose(distinct_picks(kinds, picks, picks, zipf), picks, rel_tol=1e-9)


@given(st.data(), experts, tokens)
def test_a_vanishing_exponent_is_balanced(data, kinds, count):
    picks = data.draw(chosen(kinds))
    assert isclose(distinct_picks(kinds, count * picks, picks, 1e-9), distinct_picks(kinds, count * picks, picks), rel_tol=1e-5)


def test_two_tokens_with_two_of_four_experts_each_by_enumeration():
    pairs = list(combinations(range(4), 2))
    average = sum(len({*a, *b}) for a in pairs for b in pairs) / len(pairs) ** 2
    assert isclose(distinct_picks(4, 4, 2), average, rel_tol=1e-12)  # 4 (1 - (1/2)²) = 3


def test_two_draws_after_zipf_by_hand():
    # two experts with 2/3 and 1/3: both are met with probability 2 · 2/3 · 1/3 = 4/9
    assert isclose(distinct_picks(2, 2, 1, 1.0), 1 + 4 / 9, rel_tol=1e-12)


def expert_bytes(model, batch):
    kernels = model.programs["decode"].at("fused", batch=batch, past=10)
    return sum(k.launches * work_of(k).read for k in kernels if k.signatures[0].op in ("est.grouped_mm", "est.packed_mm"))


def test_one_token_of_mixtral_reads_two_of_eight_experts():
    model = route(load_architecture("mixtral-8x7b"))
    weights = 32 * 2 * 3 * 4096 * 14336 * 2  # layers, experts, matrices in bf16
    assert isclose(expert_bytes(model, 1), weights, rel_tol=1e-3)  # and a few activations
    assert expert_bytes(route(model, "zipf"), 16) < expert_bytes(model, 16) < 4 * weights * (1 + 1e-2)
    assert model.decisions[-1] == "each token goes to 2 of 8 experts, all experts equally likely"


def test_routing_and_packing_go_together_in_either_order():
    model = load_architecture("gpt-oss-20b")
    one, other = quantize(route(model, 0.7), "mxfp4"), route(quantize(model, "mxfp4"), 0.7)
    assert expert_bytes(one, 8) == expert_bytes(other, 8) < expert_bytes(quantize(route(model), "mxfp4"), 8)


def test_a_traced_model_is_routed_too():
    traced = trace(networks.mixtral(), networks.token_ids(1, 3), backward=True)
    even, uneven = route(traced), route(traced, "zipf")
    assert isclose(uneven.matmul_flop, even.matmul_flop, rel_tol=1e-12)
    assert sum(row["read"] for row in uneven.rows("phase")) < sum(row["read"] for row in even.rows("phase"))


def test_a_dense_model_is_left_alone():
    model = load_architecture("gpt2")
    assert route(model, "zipf") is model


def test_estimates_list_the_routing_and_follow_it():
    run = Inference(batch=16, prompt_tokens=16, output_tokens=16)
    even, uneven = (estimate("gpt-oss-20b", "H100", run, routing=routing) for routing in ("balanced", 1.5))
    assert uneven.energy < even.energy
    assert "each token goes to 4 of 32 experts, with probabilities after Zipf's law, exponent 1.5" in uneven.assumptions


@pytest.mark.parametrize("routing", ["even", -1, float("nan"), True, None])
def test_other_routings_are_refused(routing):
    with pytest.raises(InvalidSetting, match="expected 'balanced', 'zipf' or the exponent"):
        route(load_architecture("gpt2"), routing)
