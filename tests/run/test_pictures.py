"""Pictures in prompts: looked at once by the tower, then tokens like others."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from estimator import Inference, Parallel, Serving, Training, estimate, load_profile, sweep, trace
from estimator.errors import InvalidSetting
from estimator.model.architecture import load_architecture
from estimator.model.rules import work_of
from estimator.run.pictures import looking, width_of
from estimator.run.roles import sums
from estimator.run.stack import load_stack

SEES = "qwen3-vl-8b"
MODEL = load_architecture(SEES)


def one(**settings):
    return estimate(SEES, "H100", Inference(prompt_tokens=100, output_tokens=2, **settings))


def flop(run, batch=1, tensor=1):
    return sum(work_of(kernel).matmul_flop * kernel.launches for kernel in looking(MODEL, run, "serving", batch, tensor))


@settings(max_examples=8)
@given(st.integers(1, 6), st.integers(1, 4), st.integers(1, 3))
def test_pictures_add_the_tower_and_their_tokens(images, rows, columns):
    # of 256 x 256 pixels a square: 64 tokens each
    run = Inference(prompt_tokens=100, output_tokens=2, images=images, image_height=256 * rows, image_width=256 * columns)
    tokens = images * 64 * rows * columns
    seeing, reading = estimate(SEES, "H100", run), estimate(SEES, "H100", Inference(prompt_tokens=100 + tokens, output_tokens=2))
    tower = seeing.flop - reading.flop
    assert tower > flop(run) > 0.98 * tower  # vector operations besides
    assert seeing.energy > reading.energy and seeing.time > reading.time
    assert seeing.tokens == reading.tokens


def test_without_pictures_a_model_that_sees_is_its_language_model():
    seeing, reading = (estimate(name, "H100", Inference()) for name in (SEES, "qwen3-8b"))
    assert seeing.energy == reading.energy
    assert not {"images", "image_height", "frames"} & set(seeing.run) and "images" in one(images=1).run
    assert Serving(prompt_tokens=10).images == 0


@settings(max_examples=5)
@given(st.integers(1, 8))
def test_more_pictures_cost_more_and_each_frame_pair_is_a_picture(images):
    assert one(images=images + 1).energy > one(images=images).energy
    video, pictures = (
        one(images=images, image_height=256, image_width=256, frames=8),
        one(images=4 * images, image_height=256, image_width=256),
    )
    assert video.energy == pytest.approx(pictures.energy, rel=1e-9, abs=0)


@pytest.mark.parametrize("tensor", [1, 2, 4, 8])
def test_ranks_share_the_tower(tensor):
    run = Inference(images=2)
    patches = 6 * 4096 * 2 * 1536 * 1152  # of 3 x 2 pictures of 64 x 64 patches; every rank has all
    assert flop(run, 3, tensor) == pytest.approx((flop(run, 3) - patches) / tensor + patches, rel=1e-9, abs=0)
    whole = looking(MODEL, run, "serving", 3)
    assert width_of(whole) == 1152
    # after attention and after the feed-forward block of each layer, after what three layers hand on
    assert sum(launches for _, launches in sums(whole, 1152)) == 2 * 27 + 3
    spread = estimate(SEES, "H100", Inference(images=2, output_tokens=2), parallel=Parallel(tensor=tensor))
    alone = estimate(SEES, "H100", Inference(images=0, output_tokens=2), parallel=Parallel(tensor=tensor))
    assert spread.energy > alone.energy


@pytest.mark.parametrize("tensor", [1, 8])
def test_a_hybrid_model_looks_at_tiles(tensor):
    name, settings = "nemotron-nano-12b-v2-vl", {"prompt_tokens": 100, "output_tokens": 4}
    tiled, one_tile, text = (
        estimate(name, "H100", Inference(**settings, **shown), parallel=Parallel(tensor=tensor))
        for shown in ({"images": 1}, {"images": 1, "image_height": 512, "image_width": 512}, {})
    )
    assert tiled.energy > one_tile.energy > text.energy
    whole = looking(load_architecture(name), Inference(images=1), "serving", 1)
    assert width_of(whole) == 1280 and sum(launches for _, launches in sums(whole, 1280)) == 2 * 32


def test_more_ranks_than_heads_can_share_look_at_the_same():
    run = Inference(images=1)
    assert flop(run, 1, 32) == flop(run, 1, 16)  # 16 heads


@settings(max_examples=5)
@given(st.integers(1, 3), st.sampled_from([8.0, 64.0]))
def test_served_pictures_cost_the_tower_besides_their_tokens(images, concurrency):
    settings = {"concurrency": concurrency, "output_tokens": 100, "requests": 10}
    seeing = estimate(SEES, "H100", Serving(prompt_tokens=60, images=images, image_height=512, image_width=512, **settings))
    reading = estimate(SEES, "H100", Serving(prompt_tokens=60 + 256 * images, **settings))
    looked = seeing.flop - reading.flop
    expected = 10 * flop(Inference(images=images, image_height=512, image_width=512))
    assert looked == pytest.approx(expected, rel=0.02, abs=0)
    assert reading.energy < seeing.energy < 2 * reading.energy
    assert sum(row["energy"] for row in seeing.rows(by="phase")) == pytest.approx(seeing.energy, rel=1e-9, abs=0)


def test_spread_prompts_stay_as_far_apart():
    run = Serving(prompt_tokens={0.5: 95, 0.9: 2157}, images=1, output_tokens=50, requests=1)
    assert estimate(SEES, "H100", run).service["energy_per_prompt_token"] > 0
    assert estimate(SEES, "H100", Serving(prompt_tokens=100, images=1, output_tokens=50), parallel=Parallel(tensor=2)).energy > 0


def test_what_cannot_be_looked_at_is_refused():
    with pytest.raises(
        InvalidSetting, match="images=1: llama-3.1-8b has no vision tower here; leave them out, or choose a model that sees"
    ):
        estimate("llama-3.1-8b", run=Inference(images=1))
    with pytest.raises(InvalidSetting, match="images=1: llama-3.1-8b has no vision tower"):
        estimate("llama-3.1-8b", run=Serving(images=1))
    for wrong in ({"images": -1}, {"images": 1, "frames": 0}, {"image_height": 0}, {"image_width": 2.5}):
        for kind in (Inference, Serving):
            with pytest.raises(InvalidSetting, match="expected a whole number of at least 1"):
                kind(**wrong)
    with pytest.raises(InvalidSetting, match="exceed the 262144 positions"):
        one(images=300)


def test_text_trains_the_language_model_alone():
    seeing, reading = (estimate(name, "H100", Training(steps=1, sequence_tokens=512)) for name in (SEES, "qwen3-8b"))
    assert seeing.energy == reading.energy
    assert MODEL.language.parameters == load_architecture("qwen3-8b").parameters and MODEL.language.vision is None


def test_a_trace_shows_nothing():
    torch = pytest.importorskip("torch")
    traced = trace(torch.nn.Linear(8, 8), torch.empty(2, 8, device="meta"))
    with pytest.raises(InvalidSetting, match="images=1: a trace has the sizes of its inputs"):
        estimate(traced, "H100", Inference(images=1))


def test_pictures_are_assumed_and_swept():
    assert any("1024 tokens of each prompt are pictures" in note for note in one(images=1).assumptions)
    rows = sweep(SEES, "H100", images=[0, 1], output_tokens=2)
    assert rows[1]["energy"] > rows[0]["energy"]
    assert load_profile("H100") and load_stack("serving").engine
