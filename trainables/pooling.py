"""From a map of features to one vector an image."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn


@final
class OneOfThem(nn.Module):
    """A location at random for each image in training mode, the mean over all locations in evaluation mode.

    Whatever is minimised of the vector is then, in expectation, minimised of every location on its own.
    """

    def forward(self, maps: Tensor) -> Tensor:
        """(B, D, h, w) to (B, D)."""
        if not self.training:
            return maps.mean(dim=(2, 3))
        locations = maps.flatten(2)
        count, _, places = locations.shape
        chosen = torch.randint(places, (count, 1, 1), device=maps.device).expand(-1, locations.shape[1], -1)
        return locations.gather(2, chosen)[..., 0]
