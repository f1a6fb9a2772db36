"""Matrix FLOP of models that counters get wrong, derived from their sizes; a multiply-add is 2, masks are dense."""

import pytest
import torch
import transformers
from diffusers import DiTTransformer2DModel, UNet2DConditionModel

from estimator.model.build.attention import cached
from estimator.model.tracing import cross_check, trace
from tests.model.networks import on_meta, token_ids


def matmul(*inputs, **kwargs):
    traced = trace(*inputs, **kwargs)
    assert traced.coverage.unknown == ()
    return traced.matmul_flop


def test_whisper():
    config = transformers.WhisperConfig(
        d_model=768, encoder_layers=12, decoder_layers=12, encoder_attention_heads=12, decoder_attention_heads=12,
        encoder_ffn_dim=3072, decoder_ffn_dim=3072,
    )  # fmt: skip
    model = on_meta(transformers.WhisperForConditionalGeneration, config)
    frames = torch.empty(1, 80, 3000, device="meta")
    # convolutions of width 3 over 3000 and 1500 frames; encoder 12 d² per frame and its scores; decoder 14 d² per token, keys and
    # values of the 1500 frames, scores over 448 and over 1500; head 51865
    d, e, s = 768, 1500, 448
    stem = 2 * 3000 * 80 * 3 * d + 2 * e * d * 3 * d
    encoder = 12 * (2 * e * 12 * d**2 + 4 * e * e * d)
    decoder = 12 * (2 * s * 14 * d**2 + 2 * e * 2 * d**2 + 4 * s * s * d + 4 * s * e * d)
    assert matmul(model, input_features=frames, decoder_input_ids=token_ids(1, s)) == stem + encoder + decoder + 2 * s * d * 51865
    assert stem + encoder + decoder + 2 * s * d * 51865 == 543_275_778_048


def test_t5():
    # 6 layers each, width 512, 8 heads of 64, 2048 inside; the encoder's 24 tokens give keys and values to each decoder layer
    model = on_meta(transformers.T5ForConditionalGeneration, transformers.T5Config())
    d, b, e, s = 512, 2, 24, 10
    encoder = 6 * (2 * e * (4 * d * 512 + 2 * d * 2048) + 4 * e * e * 512)
    decoder = 6 * (2 * s * (6 * d * 512 + 2 * d * 2048) + 2 * e * 2 * d * 512 + 4 * s * s * 512 + 4 * s * e * 512)
    expected = b * (encoder + decoder + 2 * s * d * 32128)
    assert matmul(model, input_ids=token_ids(b, e), decoder_input_ids=token_ids(b, s)) == expected


def test_gemma_counts_windows_dense_and_executes_less():
    # 6 layers of 2304, 8 heads and 4 key heads of 256, three 2304 x 9216; five layers see 8 tokens back, yet the count is dense
    config = transformers.Gemma3TextConfig(
        num_hidden_layers=6, hidden_size=2304, intermediate_size=9216, num_attention_heads=8, num_key_value_heads=4, head_dim=256,
        sliding_window=8, vocab_size=1000,
    )  # fmt: skip
    traced = trace(on_meta(transformers.Gemma3ForCausalLM, config), token_ids(2, 24))
    rows, heads = 2 * 24, 8 * 256
    weights = 6 * (2 * 2304 * heads + 2 * 2304 * 4 * 256 + 3 * 2304 * 9216) + 2304 * 1000
    assert traced.matmul_flop == 2 * rows * weights + 6 * 4 * 2 * 24 * 24 * heads


def test_gpt_oss():
    # 2 layers of 2880, 64 heads and 8 key heads of 64; router to 32, of which 4 of twice (2880 x 5760 / 2 …): up 2880 x 5760, down 2880²
    config = transformers.GptOssConfig(num_hidden_layers=2, num_local_experts=32, vocab_size=1000)
    model = on_meta(transformers.GptOssForCausalLM, config, torch.bfloat16)
    layer = 2880 * (4096 + 2 * 512) + 4096 * 2880 + 2880 * 32 + 4 * (2880 * 5760 + 2880**2)
    # an attention sink is one more score of each head, made outside the products
    expected = 2 * 48 * (2 * layer + 2880 * 1000) + 2 * 4 * 2 * 24 * 24 * 4096
    assert matmul(model, token_ids(2, 24)) == pytest.approx(expected, rel=1e-12, abs=0)


@pytest.mark.parametrize(("batch", "rows"), [(1, 64), (2, 16)])
def test_deepseek_v3(batch, rows):
    model = on_meta(transformers.DeepseekV3ForCausalLM, transformers.DeepseekV3Config(), torch.bfloat16)
    # 61 layers of latent attention: queries 7168 → 1536 → 128·192, keys 7168 → 512 + 64 → 128·(128 + 128), output 128·128 → 7168;
    # three dense layers of 18432, then a shared and 8 of 256 experts of 2048 with a router; scores over 192, values over 128
    attention = 7168 * 1536 + 1536 * 128 * 192 + 7168 * 576 + 512 * 128 * 256 + 128 * 128 * 7168
    mixture = 7168 * 256 + 9 * 3 * 7168 * 2048
    weights = 61 * attention + 3 * 3 * 7168 * 18432 + 58 * mixture + 7168 * 129280
    assert (2 * weights, 61 * 2 * 128 * (192 + 128)) == (73_249_193_984, 4_997_120)
    expected = 73_249_193_984 * batch * rows + 4_997_120 * batch * rows**2
    assert matmul(model, token_ids(batch, rows)) == pytest.approx(expected, rel=1e-12, abs=0)


def test_mamba():
    # width 768 → 2·1536; 1536 → 48 + 2·16; 48 → 1536; output 1536 → 768; the scan's y = C h is one product of 1536 x 16 a token;
    # the depthwise convolution of 4 runs over 16 + 3 columns; head 50280
    model = on_meta(transformers.MambaForCausalLM, transformers.MambaConfig(num_hidden_layers=1))
    weights = 768 * 3072 + 1536 * 80 + 48 * 1536 + 1536 * 16 + 1536 * 768 + 768 * 50280
    forward = 2 * 2 * 16 * weights + 2 * 2 * 1536 * 4 * (16 + 3)
    assert forward == 2_712_477_696
    traced = trace(model, token_ids(2, 16), backward=True)
    phases = {row["name"]: row["matmul_flop"] for row in traced.rows("phase")}
    assert phases == {"forward": forward, "backward": 2 * forward}


def test_mamba_2_agrees_with_torch_but_for_its_grouped_convolution():
    config = transformers.Mamba2Config(num_hidden_layers=1, hidden_size=256, num_heads=8, head_dim=64, vocab_size=100, n_groups=1)
    check = cross_check(on_meta(transformers.Mamba2ForCausalLM, config), token_ids(2, 16), backward=True)
    forward, backward = (one for one in check.comparisons if one.counter.startswith("torch"))
    assert (forward.differences, backward.unexplained) == ((), 0)
    assert [cause.split(":")[0] for cause, _ in backward.differences] == ["grouped convolution"]


def test_vision_transformer():
    # 196 patches of 16·16·3 and a class token: 12 layers of 12·768², scores, two labels from the class token
    model = on_meta(transformers.ViTForImageClassification, transformers.ViTConfig())
    linear = 2 * 197 * 12 * 12 * 768**2 + 2 * 196 * 768**2 + 2 * 768 * 2
    assert matmul(model, torch.empty(1, 3, 224, 224, device="meta")) == linear + 12 * 4 * 197**2 * 768 == 35_126_123_520


def test_experts_in_a_python_loop():
    config = transformers.Qwen3MoeConfig(
        hidden_size=2048, num_hidden_layers=1, num_attention_heads=32, num_key_value_heads=4, head_dim=128, moe_intermediate_size=768,
        num_experts=128, num_experts_per_tok=8, vocab_size=151936, experts_implementation="eager",
    )  # fmt: skip
    weights = 2 * 2048 * 4096 + 2 * 2048 * 512 + 2048 * 128 + 8 * 3 * 2048 * 768 + 2048 * 151936
    expected = 2 * 64 * weights + 4 * 64 * 64 * 4096
    assert matmul(on_meta(transformers.Qwen3MoeForCausalLM, config, torch.bfloat16), token_ids(1, 64)) == expected == 47_177_531_392


def test_a_static_cache_is_attended_in_full():
    config = transformers.LlamaConfig(
        hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, vocab_size=100
    )
    model = on_meta(transformers.LlamaForCausalLM, config)
    cache = transformers.StaticCache(config=config, max_cache_len=50)
    weights = 2 * (2 * 64**2 + 2 * 64 * 32 + 3 * 64 * 96) + 64 * 100
    traced = trace(model, token_ids(3, 1), **cached(model, cache))
    assert traced.matmul_flop == 2 * 3 * weights + 2 * 4 * 3 * 1 * 50 * 64


def test_unet_of_stable_diffusion():
    # counted alike by torch's counter on the same module; see Rombach et al., CVPR 2022, for the sizes of version 1.5
    blocks = "CrossAttnDownBlock2D", "CrossAttnUpBlock2D"
    with torch.device("meta"):
        model = UNet2DConditionModel(
            sample_size=64, block_out_channels=(320, 640, 1280, 1280), cross_attention_dim=768, attention_head_dim=8,
            down_block_types=(blocks[0],) * 3 + ("DownBlock2D",), up_block_types=("UpBlock2D",) + (blocks[1],) * 3,
        ).eval()  # fmt: skip
    assert sum(parameter.numel() for parameter in model.parameters()) == 859_520_964  # as published
    latent, text = torch.empty(1, 4, 64, 64, device="meta"), torch.empty(1, 77, 768, device="meta")
    assert matmul(model, latent, torch.tensor(1), text) == 803_273_441_280


def test_diffusion_transformer():
    # DiT-XL/2's widths (Peebles & Xie, ICCV 2023), two layers: 256 patches of 1152; each layer 12 d² per patch, and for the image
    # its time embedding (256 → d → d) and six modulations of d; patches of 2·2·4 in, 2·2·8 out; a last modulation of two
    with torch.device("meta"):
        model = DiTTransformer2DModel(
            num_attention_heads=16, attention_head_dim=72, in_channels=4, out_channels=8, num_layers=2, sample_size=32, patch_size=2,
            num_embeds_ada_norm=1000,
        ).eval()  # fmt: skip
    d, patches = 1152, 256
    time = 2 * (256 * d + d * d)
    layers = 2 * (2 * patches * 12 * d**2 + 4 * patches**2 * d + time + 2 * d * 6 * d)
    ends = 2 * patches * d * (16 + 32) + time + 2 * d * 2 * d
    image = torch.empty(1, 4, 32, 32, device="meta")
    assert matmul(model, image, timestep=torch.tensor([1]), class_labels=torch.tensor([3])) == layers + ends
