"""Neural matrix factorisation (He et al., WWW 2017, figure 3): a product of embeddings beside a network over others, on MovieLens-1M."""

from typing import Any

import torch
from torch import nn

USERS, FILMS = 6040, 3706  # exact: MovieLens-1M
FACTORS, LAYERS = 32, 3  # exact: as usual for this data set: 32 factors, a tower of three layers that each halve the width


class NeuMF(nn.Module):
    """Users, films and whether they met (batch,) to the loss."""

    def __init__(self) -> None:
        super().__init__()
        widths = [FACTORS << level for level in range(LAYERS, -1, -1)]
        self.product = nn.ModuleList(nn.Embedding(count, FACTORS) for count in (USERS, FILMS))
        self.deep = nn.ModuleList(nn.Embedding(count, widths[1]) for count in (USERS, FILMS))
        self.tower = nn.Sequential(*(nn.Sequential(nn.Linear(a, b), nn.ReLU()) for a, b in zip(widths, widths[1:])))
        self.score = nn.Linear(2 * FACTORS, 1)

    def forward(self, users: torch.Tensor, films: torch.Tensor, met: torch.Tensor) -> torch.Tensor:
        """Binary cross entropy of the scores."""
        (of_user, of_film), (deep_user, deep_film) = self.product, self.deep
        deep = self.tower(torch.cat((deep_user(users), deep_film(films)), -1))
        scores = self.score(torch.cat((of_user(users) * of_film(films), deep), -1))
        return nn.functional.binary_cross_entropy_with_logits(scores.view(-1), met)


def neumf(batch: int, tokens: int) -> tuple[nn.Module, dict[str, Any]]:
    """The network and a batch of pairs."""
    pairs = {name: torch.empty(batch, dtype=torch.long) for name in ("users", "films")}
    return NeuMF(), pairs | {"met": torch.empty(batch)}
