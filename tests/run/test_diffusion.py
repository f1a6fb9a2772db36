"""A diffusion run: its phases, what it produces, how it scales, and what it refuses."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from estimator import Diffusion, Inference, Parallel, compare, estimate, load_profile, sweep
from estimator.errors import InvalidSetting
from estimator.model.architecture import load_architecture
from estimator.model.work import Kernel, Signature, TensorSpec
from estimator.run.demands import demand_of
from estimator.run.stack import load_stack


def phases(name, hw="H100", **run):
    return {row["name"]: row for row in estimate(name, hw, Diffusion(**run)).rows("phase")}


def test_a_pipeline_encodes_denoises_and_decodes():
    done = estimate("stable-diffusion-1.5", "A100")
    assert [phase.name for phase in done.phases] == ["encode", "denoise", "decode", "host", "pictures"]
    assert done.run == {
        "kind": "Diffusion",
        "batch": 1,
        "height": 512,
        "width": 512,
        "frames": None,
        "steps": 50,
        "passes": 2,
        "requests": 1,
        "ulysses": 1,
        "ring": 1,
    }
    assert done.stack == "pipeline" and done.samples == 1 and done.media_seconds == 0
    assert done.energy_per_sample == done.energy
    assert any("50 steps, 2 passes" in note for note in done.assumptions)


def test_a_video_has_joules_per_second_of_it():
    done = estimate("stable-video-diffusion", "A100", Diffusion(batch=2))
    assert done.media_seconds == 2 * 14 / 7  # 14 frames at 7 a second, two of them
    assert done.energy_per_media_second == pytest.approx(done.energy / 4, rel=1e-12, abs=0)
    assert "encode" not in {phase.name for phase in done.phases}  # an image is given; its encoder is not traced


@settings(max_examples=5, deadline=None)
@given(st.integers(1, 40), st.integers(1, 8))
def test_denoising_is_proportional_to_steps_and_requests(steps, requests):
    once, more = phases("tiny-sd", steps=1), phases("tiny-sd", steps=steps, requests=requests)
    assert more["denoise"]["energy"] == pytest.approx(steps * requests * once["denoise"]["energy"], rel=1e-9, abs=0)
    assert more["decode"]["energy"] == pytest.approx(requests * once["decode"]["energy"], rel=1e-9, abs=0)


def test_guidance_doubles_the_work_of_the_denoiser():
    with_it, without = phases("stable-diffusion-3-medium", steps=4, passes=2), phases("stable-diffusion-3-medium", steps=4, passes=1)
    assert with_it["denoise"]["flop"] == pytest.approx(2 * without["denoise"]["flop"], rel=1e-9, abs=0)
    assert with_it["decode"]["flop"] == without["decode"]["flop"]


def test_guidance_in_turn_launches_every_kernel_twice():
    def launches(**run):
        return sum(entry.launches for phase in estimate("wan2.1-t2v-1.3b", "H100", Diffusion(**run)).phases for entry in phase.entries)

    one, two = (launches(steps=10, passes=passes, frames=21) for passes in (1, 2))
    assert two > 1.8 * one


def test_more_pixels_and_frames_cost_more():
    energies = [estimate("modelscope-t2v", "H100", Diffusion(steps=2, frames=frames)).energy for frames in (8, 16, 32)]
    assert energies == sorted(energies)
    sides = [estimate("sdxl", "H100", Diffusion(steps=2, height=side, width=side)).energy for side in (512, 768, 1024)]
    assert sides == sorted(sides)


def test_a_side_between_multiples_says_what_was_done():
    notes = estimate("i2vgen-xl", "A100", Diffusion(height=720, steps=1)).assumptions
    assert any(re.match("height=720 not a multiple of 64", note) for note in notes)


def test_a_sweep_of_a_pipeline_needs_no_kind_of_run():
    rows = sweep("tiny-sd", ["A100", "H100"], batch=[1, 4], steps=2)
    assert len(rows) == 4 and rows[1]["energy_per_sample"] < rows[0]["energy_per_sample"]
    assert len(compare("tiny-sd", ["A100", "H100"])) == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0}, r"steps=0: expected a whole number of at least 1"),
        ({"batch": True}, r"batch=True: expected a whole number"),
        ({"passes": 3}, r"passes=3: expected 1 \(no guidance\) or 2 \(classifier-free guidance\)"),
        ({"frames": 16}, r"frames=16: tiny-sd makes images; leave frames out, or choose a video model"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(InvalidSetting, match=message):
        estimate("tiny-sd", "H100", Diffusion(**settings))


def test_a_run_of_another_kind_is_refused():
    with pytest.raises(
        InvalidSetting, match=r"run=Diffusion\(…\): gpt2 is no diffusion pipeline but of the kind 'causal-lm'; use Inference"
    ):
        estimate("gpt2", "H100", Diffusion())
    with pytest.raises(InvalidSetting, match=r"run=Inference\(…\): tiny-sd is a diffusion pipeline; use Diffusion"):
        estimate("tiny-sd", "H100", Inference())


def attention(head_dim):
    query = TensorSpec((2, 16, 4096, head_dim), "bf16")
    arguments = {"query": query, "key": query, "value": query, "mask": None, "dropout": 0.0, "causal": False, "scale": None, "window": None}
    signature = Signature("est.attention", tuple(arguments.items()), (query, TensorSpec((2, 16, 4096), "fp32")))
    return Kernel("est.attention", "attention", "forward", "", (signature,), format="bf16")


def test_attention_written_for_ampere_leaves_newer_units_idle():
    # of 1024, 2048 and 4096 multiply-adds a clock
    eager, serving = load_stack("eager"), load_stack("serving")
    for hw, times in (("A100", 1024 / 900), ("H100", 2048 / 900), ("B200", 4096 / 900)):
        profile = load_profile(hw)
        older, own = (demand_of(attention(128), profile, stack).mac_slots for stack in (eager, serving))
        assert older == pytest.approx(times * own, rel=1e-9, abs=0)


def test_heads_are_padded_to_what_the_kernel_is_compiled_for():
    profile = load_profile("A100")
    for width, padded in ((64, 64), (72, 96), (40, 64)):
        older, own = (demand_of(attention(width), profile, load_stack(stack)).mac_slots for stack in ("eager", "serving"))
        assert older == pytest.approx(own * 1024 / 900, rel=1e-9, abs=0)
        assert own == pytest.approx(demand_of(attention(padded), profile, load_stack("serving")).mac_slots, rel=1e-9, abs=0)


def test_flash_attention_2_reaches_a_third_of_the_h100():
    # Shah et al., FlashAttention-3 (arXiv:2407.08608), abstract: 35 % of 989 TFLOP/s
    from estimator.hardware.roofline import duration

    profile, kernel = load_profile("H100"), attention(128)
    seconds = duration(demand_of(kernel, profile, load_stack("eager")), profile).execution(float(profile.clock.boost))
    assert 4 * 2 * 16 * 4096**2 * 128 / seconds == pytest.approx(0.35 * 989e12, rel=0.15, abs=0)


def test_every_pipeline_loads_by_its_names():
    for name in ("flux", "sdxl", "stabilityai/stable-diffusion-3.5-large"):
        assert load_architecture(name).kind == "diffusion"


def test_tokens_cut_over_devices_share_the_work_of_the_denoiser():
    alone, four = (phases("stable-diffusion-3-medium", batch=8, steps=2, **cut) for cut in ({}, {"ulysses": 4}))
    # text tokens stay on every device, so a little more than all of it is done
    assert alone["denoise"]["flop"] < four["denoise"]["flop"] < 1.3 * alone["denoise"]["flop"]
    assert four["denoise"]["time"] < 0.5 * alone["denoise"]["time"]
    for figure in ("flop", "energy"):  # one device decodes, for as long as it would alone
        assert four["decode"][figure] == pytest.approx(alone["decode"][figure], rel=1e-9, abs=0)
    assert four["decode"]["time"] + four["idle"]["time"] == pytest.approx(alone["decode"]["time"], rel=1e-9, abs=0)
    assert "communication" in four and "communication" not in alone


def test_attention_cut_by_heads_or_by_keys_multiplies_as_often():
    def attended(**cut):
        done = estimate("wan2.1-t2v-1.3b", "H100", Diffusion(steps=1, frames=21, **cut))
        denoise = next(phase for phase in done.phases if phase.name == "denoise")
        return sum(entry.matmul_flop for entry in denoise.entries if entry.kind == "attention")

    whole, heads, keys = attended(), attended(ulysses=4), attended(ring=4)
    assert heads == pytest.approx(whole, rel=1e-3, abs=0) and keys == pytest.approx(whole, rel=1e-3, abs=0)


def test_heads_travel_less_than_keys_around_a_ring():
    # four tensors once, of which 7/8 leave a device, against two of eight times the size: keys and values of all others
    def sent(**cut):
        return phases("pixart-sigma", steps=1, batch=8, **cut)["communication"]["time"]

    assert sent(ulysses=8) < sent(ring=8)


def test_linear_attention_and_convolutions_exchange_what_they_read_of_other_devices():
    # 60 blocks: queries, keys, values and outputs, two turns of a ring of three, and a row of either neighbour for a 3 × 3 convolution
    def sent(model, **cut):
        done = estimate(model, "H100", Diffusion(steps=1, passes=1, **cut))
        return sum(e.launches for phase in done.phases if phase.name == "communication" for e in phase.entries) / done.devices

    assert sent("sana-1.5-4.8b", ulysses=2) == pytest.approx(60 * (4 + 2), rel=1e-9, abs=0)
    assert sent("sana-1.5-4.8b", ring=3) == pytest.approx(60 * (2 + 2), rel=1e-9, abs=0)
    # blocks of softmax attention; patches do not overlap, of images or of videos
    assert sent("pixart-sigma", ulysses=2) == pytest.approx(28 * 4, rel=1e-9, abs=0)
    assert sent("wan2.1-t2v-1.3b", frames=5, ulysses=2) == pytest.approx(30 * 4, rel=1e-9, abs=0)


def test_degrees_of_parallelism_may_be_given_as_for_any_run():
    one = estimate("pixart-sigma", "H100", Diffusion(steps=1), parallel=Parallel(sequence=2))
    assert one.energy == estimate("pixart-sigma", "H100", Diffusion(steps=1, ulysses=2)).energy
    with pytest.raises(InvalidSetting, match=r"a diffusion pipeline is cut by its tokens alone; use Parallel\(sequence=…\)"):
        estimate("pixart-sigma", "H100", Diffusion(steps=1), parallel=Parallel(tensor=2))


def test_a_unet_is_not_cut():
    with pytest.raises(InvalidSetting, match="ulysses=2, ring=1: tiny-sd normalises over whole images, so they cannot be cut"):
        estimate("tiny-sd", "H100", Diffusion(ulysses=2))


def pointwise(*shapes, kind="pointwise"):
    specs = [TensorSpec(shape, "bf16") for shape in shapes]
    signature = Signature("aten.mul", tuple(zip(("self", "other"), specs)), (TensorSpec(shapes[0], "bf16"),))
    return Kernel("aten.mul", kind, "forward", "", (signature,), format="bf16")


def test_broadcast_operands_cost_their_addresses():
    profile, pipeline, compiled = load_profile("B200"), load_stack("pipeline"), load_stack("compiled")
    alike, broadcast = pointwise((8, 4096, 64), (8, 4096, 64)), pointwise((8, 4096, 64), (8, 1, 64))
    elements = 8 * 4096 * 64
    ops = [
        demand_of(kernel, profile, pipeline).vector_ops - demand_of(kernel, profile, compiled).vector_ops for kernel in (alike, broadcast)
    ]
    assert ops == pytest.approx([elements * pipeline.element_ops, elements * pipeline.strided_element_ops], rel=1e-9, abs=0)


def test_pictures_take_the_host_a_time_for_each_pixel():
    waiting = phases("tiny-sd", steps=1, height=512, width=1024)["pictures"]
    assert waiting["time"] == pytest.approx(512 * 1024 * load_stack("pipeline").pixel_seconds, rel=1e-9, abs=0)
