"""How latents become pixels: each decoder's own way through its frames, without the copies that join what it made."""

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
    def latents(size: Latents) -> torch.Tensor:
        """What is decoded: images, those of a video one beside the other along the batch."""
        return size.empty(size.batch * size.frames, size.channels, size.height, size.width)

    def forward(self, latents: torch.Tensor) -> Any:
        """Pixels of `latents`."""
        return self.coder.decode(latents, return_dict=False)


class DecodeSpatiotemporal(Decode):
    """Stable Video Diffusion: images of one video, told how many there are."""

    @staticmethod
    def latents(size: Latents) -> torch.Tensor:
        """Frames before channels."""
        return size.empty(size.batch, size.frames, size.channels, size.height, size.width)

    def forward(self, latents: torch.Tensor) -> Any:
        """Pixels of a video's frames, which lie along the batch."""
        return self.coder.decode(latents.flatten(0, 1), num_frames=latents.shape[1], return_dict=False)


class DecodeUnquantised(Decode):
    """Kandinsky: latents are not rounded to the code book."""

    def forward(self, latents: torch.Tensor) -> Any:
        """Pixels of `latents`."""
        return self.coder.decode(latents, force_not_quantize=True, return_dict=False)


class DecodeVideo(Decode):
    """A video in one piece."""

    @staticmethod
    def latents(size: Latents) -> torch.Tensor:
        """Channels before frames."""
        return size.video


class DecodeFrameByFrame(DecodeVideo):
    """Wan: one latent frame at a time, with what causal convolutions remember of the ones before."""

    def forward(self, latents: torch.Tensor) -> Any:
        """Pixels, chunk by chunk."""
        coder, chunks = self.coder, []
        coder.clear_cache()
        for index, frame in enumerate(latents.split(1, dim=2)):
            coder._conv_idx = [0]
            first = {"first_chunk": True} if index == 0 else {}
            chunks.append(coder.decoder(coder.post_quant_conv(frame), feat_cache=coder._feat_map, feat_idx=coder._conv_idx, **first))
        return chunks


class DecodeInPairs(DecodeVideo):
    """CogVideoX: two latent frames at a time, the odd one with the first pair."""

    def forward(self, latents: torch.Tensor) -> Any:
        """Pixels, chunk by chunk."""
        cache, chunks = None, []
        odd = latents.shape[2] % FRAMES_AT_ONCE
        for start in range(odd, latents.shape[2], FRAMES_AT_ONCE):
            first = 0 if start == odd else start
            pixels, cache = self.coder.decoder(latents[:, :, first : start + FRAMES_AT_ONCE], conv_cache=cache)
            chunks.append(pixels)
        return chunks


WAYS: dict[str, type[Decode]] = {
    "VQModel": DecodeUnquantised,
    "AutoencoderKLTemporalDecoder": DecodeSpatiotemporal,
    "AutoencoderKLWan": DecodeFrameByFrame,
    "AutoencoderKLCogVideoX": DecodeInPairs,
    "AutoencoderKLHunyuanVideo": DecodeVideo,
}


def decoding(coder: torch.nn.Module) -> Decode:
    """The module whose forward pass decodes."""
    if hasattr(coder, "use_framewise_decoding"):
        coder.use_framewise_decoding = False
    return WAYS.get(type(coder).__name__, Decode)(coder)
