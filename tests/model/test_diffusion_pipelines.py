"""Bundled diffusion pipelines against closed forms, published parameter counts, fresh traces and their own regeneration."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from estimator.errors import LiftError, UnknownName
from estimator.model.architecture import BUNDLED, Architecture, load_architecture
from estimator.model.polynomial import symbols
from estimator.model.program import Program
from estimator.model.rules import is_known, work_of
from estimator.model.transform.recast import recast
from estimator.model.work import Kernel, Signature, TensorSpec

pytest.importorskip("transformers")
diffusers = pytest.importorskip("diffusers")
from estimator.model.build import __main__ as command  # noqa: E402
from estimator.model.build import pipelines  # noqa: E402
from estimator.model.build.tally import lifted_in_chunks  # noqa: E402
from estimator.model.fusion import kernels  # noqa: E402
from estimator.model.tracing import trace  # noqa: E402

LARGEST_FILE = 150e3


def matmul_flop(name, step, **sizes):
    program = load_architecture(name).programs[step]
    launched = program.at("eager", **{symbol: sizes[symbol] for symbol in program.symbols})
    return sum(work_of(kernel).matmul_flop * kernel.launches for kernel in launched)


@pytest.mark.parametrize("name", pipelines.names())
def test_a_denoiser_has_as_many_parameters_as_published(name):
    published = pipelines.pipeline(name).table["published"]
    architecture = load_architecture(name)
    assert architecture.active_parameters == pytest.approx(published["parameters"], rel=published.get("within", 0.01), abs=0)
    assert architecture.parameters > architecture.active_parameters


@pytest.mark.parametrize("name", pipelines.names())
def test_every_pipeline_is_bundled_complete_small_and_known(name):
    plan, architecture = pipelines.pipeline(name), load_architecture(name)
    assert (architecture.name, architecture.kind, architecture.status) == (name, "diffusion", plan.table["status"])
    assert architecture.defaults == plan.defaults and architecture.aliases == tuple(plan.table["aliases"])
    assert set(architecture.programs) == {"denoise", "decode"} | ({"encode"} if plan.encoders else set())
    assert (BUNDLED / f"{name}.json").stat().st_size <= LARGEST_FILE
    assert architecture.programs["denoise"].symbols == ("batch", "height", "width", *(["frames"] if plan.is_video else []))
    for program in architecture.programs.values():
        assert all(is_known(signature.op) for kernel in program.kernels["eager"] for signature in kernel.signatures)


@settings(max_examples=10)
@given(b=st.integers(1, 64), h=st.integers(4, 128), w=st.integers(4, 128))
def test_a_diffusion_transformer_does_the_work_that_its_widths_imply(b, h, w):
    # PixArt-Sigma: patches of 2 x 2 latents of 8 x 8 pixels, so one token for 16 x 16; 28 blocks of width d = 1152. A block
    # multiplies a token by query, key, value, output (4 d^2), by query and output of cross-attention (2 d^2) and by the
    # feed-forward block (8 d^2), attends to T tokens (4 T d) and to 300 of text (4 * 300 d), whose keys and values cost 4 d^2 each
    d, t, n = 1152, h * w, 300
    block = 28 * (t * 2 * 14 * d**2 + 4 * t**2 * d + 4 * t * n * d + n * 2 * 2 * d**2)
    around = t * 2 * (4 * 4 * d) + t * 2 * d * (4 * 8)  # patches of 2 x 2 x 4 in, of 2 x 2 x 8 out
    text = n * 2 * (4096 * d + d * d)  # its projection, two layers
    time = 2 * (256 * d + d * d + 6 * d * d)
    assert matmul_flop("pixart-sigma", "denoise", batch=b, height=16 * h, width=16 * w) == b * (block + around + text + time)


def test_two_passes_of_stable_diffusion_cost_what_is_published():
    # 0.8 TFLOP a pass at 512 x 512: 402 GMAC (Kim et al., BK-SDM, arXiv:2305.15798, table 1: 339 GMAC without attention products)
    once = matmul_flop("stable-diffusion-1.5", "denoise", batch=1, height=512, width=512)
    assert once == pytest.approx(2 * 402e9, rel=0.02, abs=0)
    assert matmul_flop("stable-diffusion-1.5", "denoise", batch=2, height=512, width=512) == 2 * once


def test_a_chunked_decoder_launches_more_for_more_frames():
    decode = load_architecture("wan2.1-t2v-1.3b").programs["decode"]
    launches = [sum(k.launches for k in decode.at("eager", batch=1, height=480, width=832, frames=f)) for f in (21, 41, 61, 81)]
    assert len({b - a for a, b in zip(launches, launches[1:])}) == 1 and launches[1] > launches[0]


def test_a_stored_denoiser_equals_a_fresh_trace_at_a_size_it_never_saw():
    from estimator.model.build.denoisers import CALLS, Latents
    from estimator.model.build.diffusion import _built, _dtype

    plan = pipelines.pipeline("stable-diffusion-2.1")
    model, dtype = _built(plan.table["denoiser"]["class"], plan.config, _dtype("fp16")), _dtype("fp16")
    made = trace(
        model, **CALLS["UNet2DConditionModel"](model.config, Latents(2, 4, 1, 96, 64, 77, dtype)), return_dict=False, training=False
    )
    stored = load_architecture("stable-diffusion-2.1").programs["denoise"].at("eager", batch=2, height=768, width=512)
    for quantity in ("flop", "matmul_flop", "read", "write"):
        both = [sum(getattr(work_of(kernel), quantity) * kernel.launches for kernel in some) for some in (stored, kernels(made, "eager"))]
        assert both[0] == both[1]


def test_a_pipeline_made_of_the_parts_of_another_shares_them():
    turbo, base = load_architecture("stabilityai/sdxl-turbo"), load_architecture("sdxl")
    assert turbo.programs is base.programs and turbo.name == "sdxl-turbo"
    assert (turbo.defaults["height"], base.defaults["height"]) == (512, 1024)
    assert Architecture.from_json(turbo.to_json()) == turbo


def test_the_command_regenerates_a_pipeline(tmp_path, monkeypatch):
    for name in ("tiny-sd", "sdxl-turbo"):
        monkeypatch.setattr("sys.argv", ["build", name, "--out", str(tmp_path)])
        assert command.main() == 0
        assert (tmp_path / f"{name}.json").read_text() == (BUNDLED / f"{name}.json").read_text()


def test_an_unknown_pipeline_lists_its_nearest():
    with pytest.raises(UnknownName, match="unknown pipeline 'flux.2-dev'. Nearest: .*flux.1-dev"):
        pipelines.pipeline("flux.2-dev")


def launches_of(*counts):
    """A part whose kernel is launched as often as `counts` say for 1, 2, 3 … frames."""

    def made(frames, batch):
        spec = TensorSpec((batch, 4), "fp16")
        relu = Signature("aten.relu", (("self", spec),), (spec,))
        return (Kernel("aten.relu", "pointwise", "forward", "decoder", (relu,), format="fp16", count=counts[frames - 1]),)

    return made


def test_launches_that_grow_with_the_frames_become_a_polynomial():
    batch, frames = symbols("batch frames")
    (kernel,) = lifted_in_chunks(launches_of(5, 8, 11), {"batch": (2, 3), "frames": (1, 2)}, {"batch": 5, "frames": 3}, "decoder", "frames")
    assert kernel.count == 3 * frames + 2 and kernel.signatures[0].inputs[0].shape == (batch, 4)
    program = Program(("batch", "frames"), {"eager": (kernel,)})
    assert [k.launches for k in program.at("eager", batch=1, frames=7)] == [23]
    assert Program.from_json(program.to_json()) == program


def test_launches_that_do_not_grow_evenly_are_refused():
    with pytest.raises(
        LiftError, match="launches of kernel 'aten.relu' in 'decoder': a size is no polynomial: 5 at frames=1; 8 at frames=2"
    ):
        lifted_in_chunks(launches_of(5, 8, 12), {"batch": (2, 3), "frames": (1, 2)}, {"batch": 5, "frames": 3}, "decoder", "frames")


def test_recasting_changes_the_width_of_every_tensor_and_nothing_else():
    half, full = load_architecture("stable-diffusion-1.5"), recast(load_architecture("stable-diffusion-1.5"), "fp32")
    assert recast(half, "fp16") is half and full.parameter_bytes == 2 * half.parameter_bytes and full.format == "fp32"
    sizes = {"batch": 2, "height": 512, "width": 512}
    for a, b in zip(half.programs["denoise"].at("eager", **sizes), full.programs["denoise"].at("eager", **sizes), strict=True):
        assert work_of(a).flop == work_of(b).flop and replace(b, signatures=a.signatures, resident=a.resident, format=a.format) == a
        narrow = [spec for signature in a.signatures for spec in signature.inputs if spec.format == "fp16"]
        assert all(spec.format != "fp16" for signature in b.signatures for spec in signature.inputs) and (b.format == "fp32" or not narrow)


def test_recasting_to_a_format_that_is_none_is_refused():
    with pytest.raises(UnknownName, match="unknown number format 'int4'"):
        recast(load_architecture("stable-diffusion-1.5"), "int4")
