"""Deep Speech 2 (Amodei et al., ICML 2016) as usual in PyTorch: two convolutions, five two-way LSTM layers of 1024, batch-normalised."""

from typing import Any

import torch
from torch import nn

BINS, LETTERS, HIDDEN, LAYERS = 161, 29, 1024, 5  # exact: windows of 20 ms at 16 kHz; letters, apostrophe, blank; widths and layers
CHANNELS, LETTERS_A_SECOND = 32, 15  # exact: channels of both convolutions; English read aloud
# exact: channels, filter over bins and windows, stride, padding, as published
FILTERS = ((1, CHANNELS, (41, 11), (2, 2), (20, 5)), (CHANNELS, CHANNELS, (21, 11), (2, 1), (10, 5)))  # exact: see above
CLIP = (nn.Hardtanh(0, 20),)  # exact: equation 2 of the paper
STEPS_A_SECOND = 50  # exact: a window every 10 ms, every second of which is left after the convolutions


class Layer(nn.Module):
    """Normalise, run both directions and add them."""

    def __init__(self, inputs: int, normalised: bool) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(inputs) if normalised else nn.Identity()
        self.rnn = nn.LSTM(inputs, HIDDEN, bidirectional=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(steps, batch, inputs) to (steps, batch, hidden)."""
        steps, batch, _ = x.shape
        x, _ = self.rnn(self.norm(x.flatten(0, 1)).view(steps, batch, -1))
        return x.view(steps, batch, 2, HIDDEN).sum(2)


class DeepSpeech2(nn.Module):
    """Spectrograms (batch, 1, bins, windows) and letters (batch, length) to the loss."""

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(*(part for filters in FILTERS for part in (nn.Conv2d(*filters), nn.BatchNorm2d(CHANNELS), *CLIP)))
        width = CHANNELS * (BINS + 3) // 4  # exact: two strides of two, rounded up
        self.layers = nn.Sequential(*(Layer(HIDDEN if index else width, bool(index)) for index in range(LAYERS)))
        self.letters = nn.Sequential(nn.BatchNorm1d(HIDDEN), nn.Linear(HIDDEN, LETTERS, bias=False))

    def forward(self, windows: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        """Connectionist temporal classification (Graves et al., ICML 2006)."""
        x = self.convolutions(windows).flatten(1, 2).permute(2, 0, 1)
        steps, batch, _ = x.shape
        scores = self.letters(self.layers(x).flatten(0, 1)).view(steps, batch, LETTERS).log_softmax(-1)
        heard, written = (torch.full((batch,), length, device=text.device) for length in (steps, text.shape[1]))
        return nn.functional.ctc_loss(scores, text, heard, written)


def deepspeech2(batch: int, steps: int) -> tuple[nn.Module, dict[str, Any]]:
    """The network, and utterances of as many `steps` of its recurrent layers."""
    text = torch.empty(batch, steps * LETTERS_A_SECOND // STEPS_A_SECOND, dtype=torch.long)
    return DeepSpeech2(), {"windows": torch.empty(batch, 1, BINS, 2 * steps), "text": text}
