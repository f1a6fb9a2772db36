"""How each class of denoiser is called: its arguments as empty tensors, for latents of a given size."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

Arguments = dict[str, Any]
IMAGE_WIDTH = 1280  # exact: width of the CLIP image embeddings that Kandinsky 2.2 and SDXL's pooled text share
SIZES_TOLD = 6  # exact: original size, crop and target size, two numbers each (Podell et al., arXiv:2307.01952, section 2.2)


@dataclass(frozen=True)
class Latents:
    """What one denoising pass works on: `batch` samples of `channels`, `frames`, `height` and `width`, and `text` tokens for each."""

    batch: int
    channels: int
    frames: int
    height: int
    width: int
    text: int
    dtype: torch.dtype

    def empty(self, *shape: int) -> torch.Tensor:
        """A tensor without values in the format of the model."""
        return torch.empty(*shape, dtype=self.dtype, device="meta")

    def mask(self, tokens: int) -> torch.Tensor:
        """Which text tokens count; their number is padded, so all are computed."""
        return torch.empty(self.batch, tokens, dtype=torch.int64, device="meta")

    @property
    def time(self) -> torch.Tensor:
        """The time step of each sample."""
        return torch.empty(self.batch, dtype=torch.int64, device="meta")

    @property
    def image(self) -> torch.Tensor:
        return self.empty(self.batch, self.channels, self.height, self.width)

    @property
    def video(self) -> torch.Tensor:
        return self.empty(self.batch, self.channels, self.frames, self.height, self.width)

    @property
    def tokens(self) -> int:
        """Patches of 2 × 2 in one frame."""
        return self.height * self.width // 2**2


def made_for(denoiser: Any, size: Latents) -> None:
    """Give the denoiser the table of positions of this size, as one that was made for it or ran before has: it then computes none."""
    embedding: Any = getattr(denoiser, "pos_embed", None)
    if type(embedding).__name__ == "QwenEmbedRope":
        tables = [torch.empty(n, sum(embedding.axes_dim) // 2, dtype=torch.complex64, device="meta") for n in (size.tokens, size.text)]
        embedding.forward = lambda *_, **__: tuple(tables)
        return
    rotary: Any = getattr(denoiser, "rope_embedder", None)
    if hasattr(rotary, "freqs_cis") and rotary.freqs_cis is None:  # filled when it is first asked
        rotary(torch.empty(1, len(rotary.axes_dims), dtype=torch.int32, device="meta"))
    if getattr(getattr(denoiser, "patch_embed", None), "use_positional_embeddings", False):
        _positions_of_video(denoiser.patch_embed, size)
    if getattr(embedding, "pos_embed", None) is None or getattr(embedding, "pos_embed_max_size", 0) is not None:
        return
    embedding.height, embedding.width = size.height // embedding.patch_size, size.width // embedding.patch_size
    table = torch.empty(1, embedding.height * embedding.width, embedding.pos_embed.shape[-1], device="meta")
    embedding.register_buffer("pos_embed", table, persistent=False)


def _positions_of_video(embedding: Any, size: Latents) -> None:
    embedding.sample_height, embedding.sample_width = size.height, size.width
    embedding.sample_frames = (size.frames - 1) * embedding.temporal_compression_ratio + 1
    rows = embedding.max_text_seq_length + size.frames * size.tokens
    embedding.register_buffer("pos_embedding", torch.empty(1, rows, embedding.embed_dim, device="meta"), persistent=False)


def _unet(config: Any, size: Latents) -> Arguments:
    added = {}
    if config.addition_embed_type == "text_time":
        added = {"text_embeds": size.empty(size.batch, IMAGE_WIDTH), "time_ids": size.empty(size.batch, SIZES_TOLD)}
    if config.addition_embed_type == "image":
        added = {"image_embeds": size.empty(size.batch, IMAGE_WIDTH)}
        return {"sample": size.image, "timestep": size.time, "encoder_hidden_states": None, "added_cond_kwargs": added}
    text = size.empty(size.batch, size.text, config.cross_attention_dim)
    return {"sample": size.image, "timestep": size.time, "encoder_hidden_states": text, "added_cond_kwargs": added}


def _unet_of_video(config: Any, size: Latents) -> Arguments:
    text = size.empty(size.batch, size.text, config.cross_attention_dim)
    return {"sample": size.video, "timestep": size.time, "encoder_hidden_states": text}


def _motion(config: Any, size: Latents) -> Arguments:
    text = size.empty(size.batch * size.frames, size.text, config.cross_attention_dim)  # its pipeline repeats it for each frame
    return _unet_of_video(config, size) | {"encoder_hidden_states": text}


def _i2vgen(config: Any, size: Latents) -> Arguments:
    image = {"fps": size.time, "image_latents": size.video, "image_embeddings": size.empty(size.batch, config.cross_attention_dim)}
    return _unet_of_video(config, size) | image


def _stable_video(config: Any, size: Latents) -> Arguments:
    noisy = size.empty(size.batch, size.frames, config.in_channels, size.height, size.width)
    image, times = size.empty(size.batch, 1, config.cross_attention_dim), size.empty(size.batch, 3)  # exact: rate, motion, noise
    return {"sample": noisy, "timestep": size.time, "encoder_hidden_states": image, "added_time_ids": times}


def _kandinsky3(config: Any, size: Latents) -> Arguments:
    text = size.empty(size.batch, size.text, config.encoder_hid_dim)
    return {"sample": size.image, "timestep": size.time, "encoder_hidden_states": text, "encoder_attention_mask": size.mask(size.text)}


def _text(config: Any, size: Latents, width: str) -> Arguments:
    return {"timestep": size.time, "encoder_hidden_states": size.empty(size.batch, size.text, getattr(config, width))}


def _sd3(config: Any, size: Latents) -> Arguments:
    pooled = size.empty(size.batch, config.pooled_projection_dim)
    return _text(config, size, "joint_attention_dim") | {"hidden_states": size.image, "pooled_projections": pooled}


def _flux(config: Any, size: Latents) -> Arguments:
    packed = {"hidden_states": size.empty(size.batch, size.tokens, config.in_channels)}
    places = {"img_ids": size.empty(size.tokens, 3), "txt_ids": size.empty(size.text, 3)}  # exact: three axes of position
    guidance = size.empty(size.batch) if config.guidance_embeds else None
    pooled = size.empty(size.batch, config.pooled_projection_dim)
    return _text(config, size, "joint_attention_dim") | packed | places | {"pooled_projections": pooled, "guidance": guidance}


def _pixart(config: Any, size: Latents) -> Arguments:
    told: Arguments = {"resolution": None, "aspect_ratio": None}
    if config.use_additional_conditions is not False:
        told = {"resolution": size.empty(size.batch, 2), "aspect_ratio": size.empty(size.batch, 1)}
    masks = {"encoder_attention_mask": size.mask(size.text), "added_cond_kwargs": told}
    return _text(config, size, "caption_channels") | {"hidden_states": size.image} | masks


def _sana(config: Any, size: Latents) -> Arguments:
    return _text(config, size, "caption_channels") | {"hidden_states": size.image, "encoder_attention_mask": size.mask(size.text)}


def _hunyuan(config: Any, size: Latents) -> Arguments:
    second = config.text_len_t5
    turned = tuple(size.empty(size.tokens, config.attention_head_dim) for _ in range(2))
    return _text(config, size, "cross_attention_dim") | {
        "hidden_states": size.image,
        "text_embedding_mask": size.mask(size.text),
        "encoder_hidden_states_t5": size.empty(size.batch, second, config.cross_attention_dim_t5),
        "text_embedding_mask_t5": size.mask(second),
        "image_rotary_emb": turned,
    }


def _wan(config: Any, size: Latents) -> Arguments:
    return _text(config, size, "text_dim") | {"hidden_states": size.video}


def _cogvideo(config: Any, size: Latents) -> Arguments:
    together = config.patch_size_t or 1
    frames = -(-size.frames // together) * together  # latents are padded to whole patches
    noisy = size.empty(size.batch, frames, size.channels, size.height, size.width)
    turned = tuple(size.empty(frames // together * size.tokens, config.attention_head_dim) for _ in range(2))
    rotary = turned if config.use_rotary_positional_embeddings else None
    return _text(config, size, "text_embed_dim") | {"hidden_states": noisy, "image_rotary_emb": rotary}


def _hunyuan_video(config: Any, size: Latents) -> Arguments:
    pooled, guidance = size.empty(size.batch, config.pooled_projection_dim), size.empty(size.batch)
    more = {"encoder_attention_mask": size.mask(size.text), "pooled_projections": pooled, "guidance": guidance}
    return _text(config, size, "text_embed_dim") | {"hidden_states": size.video} | more


def _qwen_image(config: Any, size: Latents) -> Arguments:
    packed = size.empty(size.batch, size.tokens, config.in_channels)
    shapes = [[(1, size.height // config.patch_size, size.width // config.patch_size)]] * size.batch
    return _text(config, size, "joint_attention_dim") | {"hidden_states": packed, "img_shapes": shapes}


def _ltx(config: Any, size: Latents) -> Arguments:
    tokens = size.frames * size.height * size.width
    packed, places = size.empty(size.batch, tokens, config.in_channels), size.empty(size.batch, 3, tokens)  # exact: three axes
    told = {"hidden_states": packed, "video_coords": places, "encoder_attention_mask": size.mask(size.text)}
    return _text(config, size, "caption_channels") | told


def _cosmos(config: Any, size: Latents) -> Arguments:
    return _text(config, size, "text_embed_dim") | {"hidden_states": size.video}


CALLS: Mapping[str, Callable[[Any, Latents], Arguments]] = {
    "UNet2DConditionModel": _unet,
    "UNet3DConditionModel": _unet_of_video,
    "UNetMotionModel": _motion,
    "I2VGenXLUNet": _i2vgen,
    "UNetSpatioTemporalConditionModel": _stable_video,
    "Kandinsky3UNet": _kandinsky3,
    "SD3Transformer2DModel": _sd3,
    "FluxTransformer2DModel": _flux,
    "PixArtTransformer2DModel": _pixart,
    "SanaTransformer2DModel": _sana,
    "HunyuanDiT2DModel": _hunyuan,
    "WanTransformer3DModel": _wan,
    "CogVideoXTransformer3DModel": _cogvideo,
    "HunyuanVideoTransformer3DModel": _hunyuan_video,
    "QwenImageTransformer2DModel": _qwen_image,
    "LTXVideoTransformer3DModel": _ltx,
    "CosmosTransformer3DModel": _cosmos,
}
