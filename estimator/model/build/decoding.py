"""How latents become pixels: each decoder's own way through its frames, without the copies that join what it made."""

from dataclasses import replace
from typing import Any

import torch

from estimator.model.build.denoisers import Latents

FRAMES_AT_ONCE = 2  # exact: num_latent_frames_batch_size of diffusers' AutoencoderKLCogVideoX


class Decode(torch.nn.Module):
    """Decoding as a module's forward pass, so that it can be traced: one call over all frames."""

    def __init__(self, coder: torch.nn.Module) -> None:
        super().__init__()
        self.coder: Any = coder

    @staticmethod
    def latents(size: Latents) -> tuple[torch.Tensor, ...]:
        """What is decoded: images, those of a video one beside the other along the batch."""
        return (size.empty(size.batch * size.frames, size.channels, size.height, size.width),)

    def forward(self, *latents: torch.Tensor) -> Any:
        """Pixels of `latents`."""
        return self.coder.decode(*latents, return_dict=False)


class DecodeSpatiotemporal(Decode):
    """Stable Video Diffusion: images of one video, told how many there are."""

    @staticmethod
    def latents(size: Latents) -> tuple[torch.Tensor, ...]:
        """Frames before channels."""
        return (size.empty(size.batch, size.frames, size.channels, size.height, size.width),)

    def forward(self, *latents: torch.Tensor) -> Any:
        """Pixels of a video's frames, which lie along the batch."""
        (frames,) = latents
        return self.coder.decode(frames.flatten(0, 1), num_frames=frames.shape[1], return_dict=False)


class DecodeUnquantised(Decode):
    """Kandinsky: latents are not rounded to the code book."""

    def forward(self, *latents: torch.Tensor) -> Any:
        """Pixels of `latents`."""
        return self.coder.decode(*latents, force_not_quantize=True, return_dict=False)


class DecodeVideo(Decode):
    """A video in one piece."""

    @staticmethod
    def latents(size: Latents) -> tuple[torch.Tensor, ...]:
        """Channels before frames."""
        return (size.video,)


class DecodeFrameByFrame(Decode):
    """Wan: one latent frame at a time, with what causal convolutions remember of the ones before."""

    @staticmethod
    def latents(size: Latents) -> tuple[torch.Tensor, ...]:
        """Single frames."""
        return tuple(replace(size, frames=1).video for _ in range(size.frames))

    def forward(self, *latents: torch.Tensor) -> Any:
        """Pixels, chunk by chunk."""
        coder, chunks = self.coder, []
        coder.clear_cache()
        for index, frame in enumerate(latents):
            coder._conv_idx = [0]
            first = {"first_chunk": True} if index == 0 else {}
            chunks.append(coder.decoder(coder.post_quant_conv(frame), feat_cache=coder._feat_map, feat_idx=coder._conv_idx, **first))
        return chunks


class DecodeInPairs(Decode):
    """CogVideoX: two latent frames at a time, an odd one with the first pair."""

    @staticmethod
    def latents(size: Latents) -> tuple[torch.Tensor, ...]:
        """Pairs, the first with the odd one."""
        pairs, odd = divmod(size.frames, FRAMES_AT_ONCE)
        return tuple(replace(size, frames=FRAMES_AT_ONCE + (odd if pair == 0 else 0)).video for pair in range(pairs))

    def forward(self, *latents: torch.Tensor) -> Any:
        """Pixels, chunk by chunk."""
        cache, chunks = None, []
        for chunk in latents:
            pixels, cache = self.coder.decoder(chunk, conv_cache=cache)
            chunks.append(pixels)
        return chunks


WAYS: dict[str, type[Decode]] = {
    "VQModel": DecodeUnquantised,
    "AutoencoderKLTemporalDecoder": DecodeSpatiotemporal,
    "AutoencoderKLWan": DecodeFrameByFrame,
    "AutoencoderKLQwenImage": DecodeVideo,
    "AutoencoderKLLTXVideo": DecodeVideo,
    "AutoencoderKLCogVideoX": DecodeInPairs,
    "AutoencoderKLHunyuanVideo": DecodeVideo,
}


def decoding(coder: Any) -> Decode:
    """The module whose forward pass decodes."""
    if hasattr(coder, "use_framewise_decoding"):
        coder.use_framewise_decoding = False
    return WAYS.get(type(coder).__name__, Decode)(coder)
