"""Beside other counters, every disagreement has its cause and the causes sum to the difference."""

import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from estimator.__main__ import main
from estimator.errors import TraceError
from estimator.model.trace import Trace
from estimator.model.tracing import cross_check, trace
from tests.model import networks
from tests.model.cases import Calls, empty


def by_counter(check):
    return {(one.counter.split()[0], one.phase): one for one in check.comparisons}


def causes(comparison):
    return {cause.split(":")[0]: flop for cause, flop in comparison.differences}


MODELS = {
    "llama": lambda: (networks.llama(1, vocab_size=256), networks.token_ids(2, 64)),
    "mixtral": lambda: (networks.mixtral(), networks.token_ids(2, 16)),
    "encoder layer": lambda: (nn.TransformerEncoderLayer(32, 4, batch_first=True), empty(2, 8, 32)),
    "grouped convolution": lambda: (
        nn.Sequential(nn.Conv2d(4, 8, 3, groups=4), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=2)),
        empty(1, 4, 12, 12),
    ),
    "LSTM": lambda: (nn.LSTM(8, 16, 2), empty(4, 2, 8)),
    "complex": lambda: (
        Calls(lambda m, a: a @ m.w, w=nn.Parameter(empty(8, 8, dtype=torch.complex64))),
        empty(4, 8, dtype=torch.complex64),
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_causes_lead_from_our_count_to_theirs(name):
    model, x = MODELS[name]()
    check = trace(model, x, backward=True).cross_check()
    assert {one.phase for one in check.comparisons if one.counter.startswith("torch")} == {"forward", "backward"}
    for one in check.comparisons:
        assert not one.error
        assert one.unexplained == 0
        assert one.ours + sum(flop for _, flop in one.differences) == pytest.approx(one.theirs, rel=1e-9, abs=0)


@settings(max_examples=10)
@given(st.lists(st.integers(1, 24), min_size=2, max_size=4), st.integers(1, 8))
def test_a_multilayer_perceptron_differs_by_the_convention_alone(sizes, batch):
    model = nn.Sequential(*(nn.Linear(a, b) for a, b in zip(sizes, sizes[1:])))
    check = by_counter(cross_check(model, empty(batch, sizes[0]), backward=True))
    assert check["torch", "forward"].differences == check["torch", "backward"].differences == ()
    fvcore = check["fvcore", "forward"]
    assert causes(fvcore) == {"MAC against FLOP": -fvcore.ours / 2}


def test_each_counter_misses_what_it_is_known_to_miss():
    attention = by_counter(cross_check(*MODELS["encoder layer"](), backward=True))
    # 2 sequences, 8 rows and keys, width 32: scores and values in forward, the scores once more in backward
    products = 2 * 2 * 8 * 8 * 32
    assert causes(attention["torch", "backward"]) == {"attention": -products}
    assert causes(attention["fvcore", "forward"])["attention"] == -2 * products
    mixture = by_counter(cross_check(*MODELS["mixtral"]()))
    # 2 layers, 32 tokens, each to 2 experts of three 64 x 96
    assert causes(mixture["torch", "forward"]) == pytest.approx({"aten._grouped_mm": -2 * 2 * 32 * 2 * 3 * 64 * 96}, rel=1e-12, abs=0)
    grouped = by_counter(cross_check(*MODELS["grouped convolution"](), backward=True))["torch", "backward"]
    # 10² positions of 4 groups of 9 weights to 2; 8² positions of 2 groups of 4·9 to 4
    assert causes(grouped) == {"grouped convolution": 3 * 2 * 100 * 4 * 9 * 2 + 1 * 2 * 64 * 2 * 36 * 4}


def test_the_table_names_counters_conventions_and_skipped_blocks():
    text = str(cross_check(*MODELS["llama"]()))
    assert "2 FLOP per multiply-add, masks counted dense" in text
    assert "MAC against FLOP: it takes a multiply-add for one" in text
    assert "Fused attention skips masked blocks" in text


def test_a_counter_that_fails_says_so_and_the_rest_goes_on():
    model = Calls(lambda _, a, b: a @ b)
    check = by_counter(cross_check(model, empty(8, 8), empty(8)))
    assert causes(check["torch", "forward"]) == {"aten.mv": -2 * 8 * 8}
    assert check["fvcore", "forward"].error.startswith("IndexError")
    assert check["fvcore", "forward"].differences == ()


def test_a_trace_without_its_module_cannot_be_counted_again():
    model = nn.Linear(4, 4)
    traced = trace(model, empty(2, 4))
    stored = Trace.from_json(traced.to_json()), pickle.loads(pickle.dumps(traced))
    assert stored == (traced, traced)
    for one in stored:
        with pytest.raises(TraceError, match="no module to count again; trace the module"):
            one.cross_check()
    del model
    with pytest.raises(TraceError, match="was deleted"):
        traced.cross_check()


def test_counting_leaves_the_model_alone():
    model = nn.Linear(4, 4)
    before = model.weight
    cross_check(model, torch.zeros(2, 4), backward=True)
    assert model.weight is before
    assert model.weight.grad is None
    assert model.weight.device.type == "cpu"


def test_the_command_line_checks_a_bundled_model(capsys):
    assert main(["check", "flops", "gpt2", "--forward", "--sequence-tokens", "8"]) == 0
    assert "torch FlopCounterMode" in capsys.readouterr().out
    assert main(["check", "flops", "gtp2"]) == 2
    assert "unknown model configuration 'gtp2'. Nearest: gpt2" in capsys.readouterr().err
