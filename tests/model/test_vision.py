"""Vision towers: their work by hand and by torch's counter, published weights, and what is seen of a picture."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator.model.architecture import Architecture, list_models, load_architecture
from estimator.model.rules import is_known, work_of
from estimator.model.vision import Seen, Vision

TOWERS = [name for name in list_models() if load_architecture(name).vision is not None]
sides = st.integers(1, 4000)


def matmul_flop(vision, fusion="eager", **sizes):
    return sum(work_of(kernel).matmul_flop * kernel.launches for kernel in vision.program.at(fusion, **sizes))


@pytest.mark.parametrize(
    ("name", "width"), [("qwen3-vl-8b", 4096), ("qwen3-vl-32b", 5120), ("qwen3-vl-30b-a3b", 2048), ("qwen3-omni-30b-a3b", 2048)]
)
@given(b=st.integers(1, 40), t=st.integers(1, 5000))
def test_a_tower_does_the_work_that_its_widths_imply(name, width, b, t):
    # four patches a token; per patch 27 layers: query, key, value, output (4 x 1152^2) and two of 1152 x 4304, 2 FLOP each; its
    # 3 x 2 x 16^2 numbers to 1152; attention to all patches of its picture (4 x 1152 each); per token four mergers of two products
    layer = 2 * (4 * 1152**2 + 2 * 1152 * 4304)
    patch = 27 * (layer + 4 * 1152 * 4 * t) + 2 * 1536 * 1152
    expected = b * t * (4 * patch + 4 * 2 * 4608 * (4608 + width))
    for fusion in ("eager", "serving"):
        assert matmul_flop(load_architecture(name).vision, fusion, batch=b, tokens=t) == expected


def test_torch_counts_the_same_when_the_library_looks_at_one_picture_after_the_other():
    transformers, torch = pytest.importorskip("transformers"), pytest.importorskip("torch")
    from torch.utils.flop_counter import FlopCounterMode

    from estimator.model.build.construct import on_meta
    from estimator.model.build.served import served
    from estimator.model.build.tower import Look, see

    small = {"depth": 2, "hidden_size": 64, "intermediate_size": 96, "num_heads": 4, "out_hidden_size": 48, "deepstack_visual_indexes": [0]}
    config = transformers.Qwen3VLVisionConfig(**small)
    look = Look(on_meta(transformers.Qwen3VLVisionModel, config, torch.float32))
    with served(look, "see"):
        traced = see(look, batch=3, tokens=10)
    library = transformers.Qwen3VLVisionModel._from_config(config, attn_implementation="eager")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        library(torch.zeros(3 * 40, 1536), grid_thw=torch.tensor([[1, 4, 10]] * 3))
    assert traced.matmul_flop == counter.get_total_flops()


@pytest.mark.parametrize("name", TOWERS)
def test_every_operation_of_a_tower_has_a_rule_and_engines_launch_fewer(name):
    program = load_architecture(name).vision.program
    assert program.symbols in (("batch", "tokens"), ("batch",))  # of any size, or tiles of one
    assert all(is_known(signature.op) for kernel in program.kernels["eager"] for signature in kernel.signatures)
    sizes = dict.fromkeys(program.symbols, 64)
    eager, serving = (sum(k.launches for k in program.at(fusion, **sizes)) for fusion in ("eager", "serving"))
    assert serving < eager


@given(b=st.integers(1, 40))
def test_a_tower_of_tiles_does_the_work_that_its_widths_imply(b):
    # a tile has 32 x 32 patches of 3 x 16^2 numbers and 10 tokens of its own; 32 layers of width 1280: query, key, value, output, two of
    # 1280 x 5120, attention to all; squares of four patches go through 5120 x 20480 and 20480 x 5120
    layer = 1034 * 2 * (4 * 1280**2 + 2 * 1280 * 5120) + 4 * 1034**2 * 1280
    expected = b * (32 * layer + 1024 * 2 * 768 * 1280 + 256 * 2 * 2 * 5120 * 20480)
    vision = load_architecture("nemotron-nano-12b-v2-vl").vision
    assert matmul_flop(vision, batch=b) == matmul_flop(vision, "serving", batch=b) == expected


@given(sides, sides)
def test_tiles_are_of_one_size_and_more_than_one_come_with_the_whole_picture(height, width):
    vision = load_architecture("nemotron-nano-12b-v2-vl").vision
    seen = vision.seen(height, width)
    assert seen.tokens == 256 and (seen.pictures == 1 or 3 <= seen.pictures <= vision.tiles + 1)
    assert vision.seen(height, width, 8) == Seen(8, 256)


@pytest.mark.parametrize(
    ("height", "width", "pictures"),
    [
        (512, 512, 1),
        (1024, 1024, 5),  # 2 x 2 and the whole; 3 x 3 would be filled by less than half
        (768, 1024, 13),  # 4 x 3 is the one grid of these proportions
        (500, 2000, 5),  # 4 x 1
        (100, 100, 1),
    ],
)
def test_tiles_by_hand(height, width, pictures):
    assert load_architecture("nemotron-nano-12b-v2-vl").vision.seen(height, width).pictures == pictures


def test_a_model_that_sees_has_the_published_number_of_weights():
    # huggingface.co/Qwen/Qwen3-VL-8B-Instruct: 8,767,123,696
    model, text = load_architecture("qwen3-vl-8b"), load_architecture("qwen3-8b")
    assert model.parameters == 8_767_123_696
    assert model.parameter_bytes == text.parameter_bytes + model.vision.parameter_bytes
    assert model.active_parameters == text.active_parameters
    assert Architecture.from_json(model.to_json()) == model


VISION = load_architecture("qwen3-vl-8b").vision


@given(sides, sides)
def test_a_picture_has_a_token_for_each_square_within_bounds(height, width):
    seen = VISION.seen(height, width)
    assert seen.pictures == 1
    assert seen.tokens <= VISION.most / VISION.side**2
    assert seen.tokens * VISION.side**2 >= VISION.least / 2  # a side is at least one token long
    assert seen == VISION.seen(width, height)


@given(st.integers(8, 60), st.integers(8, 60), st.integers(2, 64))
def test_a_video_has_a_grid_for_every_two_frames(rows, columns, frames):
    seen = VISION.seen(32 * rows, 32 * columns, frames)
    assert seen.pictures == -(-frames // 2)
    assert seen.prompt * 2 * 32**2 <= VISION.most_video or seen.tokens == 1
    assert seen.tokens <= rows * columns


@pytest.mark.parametrize(
    ("given_size", "expected"),
    [
        ((1024, 1024), Seen(1, 1024)),  # 32 x 32 squares
        ((100, 100), Seen(1, 64)),  # enlarged to 65,536 pixels: 8 x 8
        ((10000, 10000), Seen(1, 16384)),  # 16.8 million pixels at most
        (
            (720, 1280, 32),
            Seen(16, 720),
        ),  # 22.5 -> 22 (even) x 40 squares would be 880; 32 frames of 704 x 1280 exceed 25.2 million pixels: 20 x 36
    ],
)
def test_sizes_by_hand(given_size, expected):
    assert VISION.seen(*given_size) == expected


def test_a_tower_survives_json():
    assert Vision.from_json(VISION.to_json()) == VISION
