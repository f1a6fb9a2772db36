"""Networks of published training measurements: their sizes as published, and the work of one sample by hand."""

import pytest
import torch

from estimator.model.program import Program
from estimator.model.rules import work_of
from estimator.validation.networks import NETWORKS, training_kernels

STEPS = 50  # of a second of sound


def parameters(name, tokens=0):
    with torch.device("meta"):
        model, _ = NETWORKS[name](2, tokens)
    return sum(one.numel() for one in model.parameters())


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("resnet50", 25_557_032),
        # 5 layers × 2 directions × 4 gates × 1024 × (inputs + 1024 + 2), inputs 1312 then 1024; norms; convolutions of 41 × 11 and 21 × 11
        ("deepspeech2 librispeech", 8192 * (1312 + 4 * 1024 + 5 * 1026) + 2 * 5 * 1024 + 1024 * 29 + 32 * (451 + 32 * 231) + 2 * 3 * 32),
        # 6040 users and 3706 films with 32 + 128 factors each, a tower 256-128-64-32, one score
        ("ncf", 9746 * 160 + 257 * 128 + 129 * 64 + 65 * 32 + 65),
    ],
)
def test_a_network_has_its_published_size(name, count):
    assert parameters(name, STEPS) == count


def test_a_second_of_sound_takes_the_products_of_its_layers():
    batch, steps = 4, STEPS
    kernels = Program(("batch",), {"eager": training_kernels("deepspeech2 librispeech", "adamw", steps)}).at("eager", batch=batch)
    forward = sum(work_of(kernel).tensor_flop * kernel.launches for kernel in kernels if kernel.phase == "forward")
    rows = batch * steps
    recurrent = 2 * rows * 8192 * (1312 + 4 * 1024 + 5 * 1024)
    convolutions = 2 * rows * 32 * (81 * 451 + 41 * 32 * 231)  # bins left after strides of two
    assert forward == recurrent + convolutions + 2 * rows * 1024 * 29
