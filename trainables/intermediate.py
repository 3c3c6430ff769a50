"""What a network holds on its way from images to features: a vector for each of its layers.

Of a transformer, what the class token holds at the second normalisation of every block, as Koutlis & Papadopoulos 2024
(arXiv 2402.19091) take it; of any other network the mean of every named layer's map.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from trainables.backbones.backbone import Backbone

BEFORE_THE_MLP = ("ln_2", "norm2")
"""What the second normalisation of a transformer's block is called, by torchvision and open_clip, and by timm."""


class IntermediateFeatures(nn.Module):
    """Images to one vector a layer, shallow to deep, of a network whose own features are not used.

    Args:
        body: (B, 3, H, W) to anything; it is run as it is.
        layers: modules of it whose outputs are (B, K, h, w) maps or (B, T, K) tokens, the class token first.
    """

    def __init__(self, body: nn.Module, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.body = body
        self.taps = tuple(layers)

    def forward(self, images: Tensor) -> list[Tensor]:
        """(B, 3, H, W) to a (B, K_l) for each layer l."""
        found: dict[nn.Module, Tensor] = {}
        hooks = [tap.register_forward_hook(lambda tap, _, output: found.update({tap: output})) for tap in self.taps]
        try:
            self.body(images)
        finally:
            for hook in hooks:
                hook.remove()
        return [_pooled(found[tap]) for tap in self.taps]

    def widths(self, size: int) -> list[int]:
        """K_l of each layer, by sending a black image of this size through."""
        training = self.training
        with torch.no_grad():
            vectors = self.eval()(torch.zeros(1, 3, size, size))
        self.train(training)
        return [vector.shape[1] for vector in vectors]


def intermediate(backbone: Backbone) -> IntermediateFeatures:
    """The vectors of a transformer's every block, or of another network's named layers."""
    return IntermediateFeatures(backbone.body, _blocks(backbone.body) or list(backbone.layers.values()))


def _blocks(body: nn.Module) -> list[nn.Module]:
    """The second normalisation of every block where the first token is a class token; nothing of other networks."""
    if not any(name.split(".")[-1] in ("class_token", "cls_token") for name, _ in body.named_parameters()):
        return []
    return [part for name, part in body.named_modules() if name.split(".")[-1] in BEFORE_THE_MLP]


def _pooled(output: Tensor) -> Tensor:
    """(B, K, h, w) to the mean over places; (B, T, K) to the first token."""
    return output.mean(dim=(2, 3)) if output.ndim == 4 else output[:, 0]
