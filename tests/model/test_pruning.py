"""Layers and heads taken out of a bundled model, and zeros that change nothing."""

from math import isclose

import pytest

from estimator import load_architecture, prune
from estimator.model.rules import work_of


def total(model, program, quantity, **sizes):
    return sum(kernel.launches * getattr(work_of(kernel), quantity) for kernel in model.programs[program].at("fused", **sizes))


def test_unstructured_zeros_save_nothing_and_say_so():
    model = load_architecture("llama-3.1-8b")
    pruned = prune(model, "unstructured", 0.6)
    assert pruned.programs == model.programs
    assert pruned.decisions[-1].endswith("dense hardware multiplies zeros like other numbers, so nothing is saved")


@pytest.mark.parametrize("share", [0, 0.25, 0.5, 0.97])
def test_layers_taken_out_take_their_share(share):
    model = load_architecture("llama-3.1-8b")
    pruned = prune(model, "layers", share)
    kept, head = max(round(32 * (1 - share)), 1) / 32, 2 * 4096 * 128256
    before, after = (total(one, "decode", "matmul_flop", batch=1, past=100) - head for one in (model, pruned))
    assert isclose(after, kept * before, rel_tol=1e-12)
    assert pruned.kv_bytes_per_token == kept * model.kv_bytes_per_token
    layer = 2 * 4096**2 + 2 * 4096 * 1024 + 3 * 4096 * 14336
    assert pruned.parameters == model.parameters - round((1 - kept) * 32) * layer


def test_heads_taken_out_lighten_attention_and_its_projections():
    model = load_architecture("llama-3.1-8b")
    sizes = {"batch": 1, "past": 100}
    freed = total(model, "decode", "matmul_flop", **sizes) - total(prune(model, "heads", 0.5), "decode", "matmul_flop", **sizes)
    projections = 2 * (2 * 4096**2 + 2 * 4096 * 1024)
    assert isclose(freed, 0.5 * 32 * (projections + 2 * 2 * 4096 * 101), rel_tol=1e-12)
    assert prune(model, "heads", 0.5).kv_bytes_per_token == model.kv_bytes_per_token / 2
