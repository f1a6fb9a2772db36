"""Modules of torch.nn as people use them, against counts derived from their sizes; a multiply-add is 2."""

import pytest
import torch
from torch import nn

from estimator.model.tracing import trace
from tests.model.cases import Calls, empty, product

B, T, E = 2, 10, 64  # sequences, tokens, width
ROWS = B * T


def flop(traced, phase="forward"):
    return sum(row["matmul_flop"] for row in traced.rows("phase") if row["name"] == phase)


def attention_flop(heads_width):
    return 2 * product(B * T, T, heads_width)  # scores and values


def block_flop(inner):
    return product(ROWS, E, 4 * E) + attention_flop(E) + 2 * product(ROWS, E, inner)


@pytest.mark.parametrize("weights", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_multihead_attention_on_and_off_its_fast_path(weights, training):
    model = Calls(lambda m, x: m.attention(x, x, x, need_weights=weights)[0], attention=nn.MultiheadAttention(E, 8, batch_first=True))
    with torch.no_grad():  # where torch takes the fast path by itself
        traced = trace(model, empty(B, T, E), training=training)
    assert traced.matmul_flop == product(ROWS, E, 4 * E) + attention_flop(E)
    assert traced.coverage.unknown == ()


@pytest.mark.parametrize("masked", [True, False])
def test_the_encoder_whose_fast_path_needs_nested_tensors(masked):
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(E, 8, 128, batch_first=True), 3).eval()
    mask = torch.zeros(B, T, dtype=torch.bool) if masked else None
    traced = trace(Calls(lambda m, x, padding: m.encoder(x, src_key_padding_mask=padding), encoder=encoder).eval(), empty(B, T, E), mask)
    assert traced.matmul_flop == 3 * block_flop(128)


@pytest.mark.parametrize(
    ("layer", "forward"),
    [
        # gates x (inputs + hidden) for every step, layer and direction; what comes after the first layer reads both directions
        (nn.GRU(16, 32, 2, bidirectional=True, batch_first=True), 2 * ROWS * 2 * 96 * ((16 + 32) + (64 + 32))),
        (nn.RNN(16, 32, 2, batch_first=True), 2 * ROWS * 32 * ((16 + 32) + (32 + 32))),
        (nn.LSTM(16, 32, batch_first=True, proj_size=8), 2 * ROWS * (128 * (16 + 8) + 32 * 8)),
    ],
    ids=["two-way GRU", "RNN", "projected LSTM"],
)
def test_recurrent_layers(layer, forward):
    traced = trace(Calls(lambda m, x: m.layer(x)[0], layer=layer), empty(B, T, 16), backward=True)
    assert flop(traced) == forward
    directions, states = 1 + layer.bidirectional, layer.proj_size or layer.hidden_size
    gates = layer.weight_hh_l0.shape[0]
    data = directions * product(ROWS, gates, 16)  # the input needs no gradient,
    start = layer.num_layers * directions * product(B, gates, states)  # nor does the state before the first step
    assert flop(traced, "backward") == 2 * forward - data - start
    assert traced.coverage.unknown == ()


@pytest.mark.parametrize("cell", [nn.GRUCell(16, 32), nn.LSTMCell(16, 32), nn.RNNCell(16, 32)], ids=lambda cell: type(cell).__name__)
def test_recurrent_cells(cell):
    gates = cell.weight_hh.shape[0]
    assert trace(Calls(lambda m, x: m.cell(x), cell=cell), empty(B, 16)).matmul_flop == product(B, gates, 16 + 32)


@pytest.mark.parametrize("dilation", [1, 2, 3])
def test_dilation_spreads_a_filter_and_adds_no_work(dilation):
    model = nn.Conv2d(4, 8, 3, dilation=dilation, padding=dilation, bias=False)
    traced = trace(model, empty(1, 4, 9, 9), backward=True)
    assert flop(traced) == flop(traced, "backward") == 9 * 9 * product(1, 8, 4 * 3 * 3)


def test_rotation_by_complex_views():
    def rotate(m, x):
        angles = torch.polar(torch.ones(T, E // 2), torch.ones(T, E // 2))
        turned = torch.view_as_complex(m.layer(x).reshape(B, T, E // 2, 2)) * angles
        return torch.view_as_real(turned).flatten(-2)

    traced = trace(Calls(rotate, layer=nn.Linear(E, E, bias=False)), empty(B, T, E), backward=True)
    assert flop(traced) == product(ROWS, E, E)
    (multiply, *_) = [row for row in traced.rows("call") if row["name"].endswith("aten.mul")]
    assert multiply["flop"] == 6 * ROWS * E // 2  # (a + bi)(c + di): four multiplies, two additions
    assert multiply["read"] == 8 * (ROWS * E // 2 + T * E // 2)
    assert traced.coverage.unknown == ()


def test_dropout_works_in_training_and_vanishes_in_evaluation():
    model, bare = nn.Sequential(nn.Linear(E, E), nn.Dropout(0.1)), nn.Sequential(nn.Linear(E, E))
    assert len(trace(model, empty(B, E), training=False).calls) == len(trace(bare, empty(B, E)).calls)
    trained, plain = (trace(m, empty(B, E), training=True, backward=True) for m in (model, bare))
    assert trained.matmul_flop == plain.matmul_flop
    assert trained.flop > plain.flop
    assert trained.saved_bytes > plain.saved_bytes  # the mask waits for backward


def test_writing_in_place_saves_memory_and_no_work():
    fresh, in_place = (trace(nn.Sequential(nn.Linear(E, 9 * E), nn.ReLU(inplace)), empty(B, E)) for inplace in (False, True))
    assert in_place.flop == fresh.flop
    assert fresh.saved_bytes - in_place.saved_bytes == 4 * B * 9 * E


def test_tied_embedding_and_head_are_one_weight_with_both_gradients():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.head = nn.Embedding(100, E), nn.Linear(E, 100, bias=False)
            self.head.weight = self.embedding.weight

        def forward(self, ids):
            return self.head(self.embedding(ids))

    traced = trace(Tied(), empty(B, T, dtype=torch.long), backward=True, optimizer="adamw")
    assert traced.parameters == 100 * E
    assert (flop(traced), flop(traced, "backward")) == (product(ROWS, 100, E), 2 * product(ROWS, 100, E))
    (step,) = [s for s in traced.signatures if s.op == "est.optimizer_step"]
    assert sum(spec.elements for spec in step["parameters"]) == 100 * E


@pytest.mark.parametrize("wrap", [torch.compile, nn.DataParallel], ids=["compile", "DataParallel"])
def test_wrappers_count_what_they_wrap(wrap):
    def layers():
        return nn.Sequential(nn.Linear(E, E), nn.ReLU())

    plain, whole = (trace(model, empty(B, E), backward=True) for model in (layers(), wrap(layers())))
    part = trace(nn.Sequential(wrap(nn.Linear(E, E)), nn.ReLU()), empty(B, E), backward=True)
    assert whole.flop == part.flop == plain.flop


@pytest.mark.parametrize("reparametrise", [nn.utils.parametrizations.weight_norm, nn.utils.parametrizations.spectral_norm])
def test_reparametrised_weights_are_covered(reparametrise):
    traced = trace(reparametrise(nn.Linear(8, 8)), empty(4, 8), backward=True)
    assert flop(traced) >= product(4, 8, 8)
    assert traced.coverage.unknown == ()


def test_functional_transforms_are_seen_through():
    def per_row(m, x):
        return torch.vmap(lambda row: row @ m.w)(x)

    def gradient(m, x):
        return torch.func.grad(lambda value: (value @ m.w).sum())(x)

    weight = {"w": nn.Parameter(empty(8, 8))}
    assert trace(Calls(per_row, **weight), empty(4, 8)).matmul_flop == product(4, 8, 8)
    assert trace(Calls(gradient, **weight), empty(4, 8)).matmul_flop == 2 * product(4, 8, 8)
