"""PatchCraft: how the noise of an image's richest texture differs from that of its poorest.

Zhong et al. 2023, "PatchCraft: Exploring Texture Patch for Efficient AI-generated Image Detection" (arXiv 2311.12397),
also known as RPTC, and the authors' network as mever-team/sidbench has it (``models/RPTC.py``, commit 0b6a9a41e8).
Rich texture is harder to make than poor, so how the two differ in one image tells more than either. Patches are ordered
by texture diversity, the richest are put together to one image and the poorest to another, which takes the scene away
(``trainables.reassembly``). The 30 rich-model filters and one learnt block see both; a small CNN sees the difference.

Published are 192 patches of 32 x 32 pixels at random places of images of 256 x 256, of which 64 and 64 make two images
of 8 x 8 patches. Here patches lie on a grid at half their side: 225 of such an image, and 64 and 64 as published, and
an image has one score. As published are texture diversity, filters and, at ``width: 32``, the network. Not as
published: filters continue an image by reflection, and not by zeros; and BatchNorm takes rich and poor texture
together, where the published takes each by itself while it trains: how strong their noise is then differs in evaluation
alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from trainables.contract import Config as MemberConfig
from trainables.recipe import Recipe

if TYPE_CHECKING:
    from torch import nn

    from trainables.detector import Detector

DEPTHS = (4, 2, 2, 2)
"""Convolutions of the four blocks, as published."""


class Config(MemberConfig):
    """Parameters of ``patchcraft``.

    Attributes:
        patch: side of a patch in pixels. Published: 32, an eighth of the image. At 16 in images of 64 pixels there are
            49 patches, a third of them rich and a third poor, as published; smaller ones are mostly seams, which the
            filters of 5 x 5 pixels see as texture.
        kept: patches along each side of the two images that are made: 8 published. As many as lie side by side in an
            image if not given, so that they are as large as the image.
        width: channels of all blocks; published: 32, which takes some three times as long on a CPU.
        recipe: how it is trained.
    """

    patch: int = Field(default=16, ge=8, le=128, multiple_of=4)
    kept: int | None = Field(default=None, ge=2, le=32)
    width: int = Field(default=16, ge=2, le=256)
    recipe: Recipe = Recipe(learning_rate=2e-3)


def build(config: Config, classes: int) -> Detector:
    """A detector with random weights; layers ``block1`` to ``block4``, 1/2, 1/4, 1/8 and 1/8 of the image's size.

    Their maps show places in the two images of patches, and not in the image that they were cut from.
    """
    from torch import nn

    from trainables.detector import Detector
    from trainables.filters import rich_models
    from trainables.front_ends import residuals
    from trainables.reassembly import Contrast, Reassembled

    kernels, width = rich_models(), config.width
    patches, (filters, _) = Reassembled(config.patch, config.kept), residuals(kernels, step=1)
    blocks = {f"block{k}": _block(width, depth, halve=k < len(DEPTHS)) for k, depth in enumerate(DEPTHS, start=1)}
    pooling = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return Detector(
        front=nn.Sequential(patches, filters),
        body=nn.Sequential(Contrast(3 * len(kernels), width), *blocks.values(), pooling),
        head=nn.Linear(width, classes),
        layers=blocks,
        feature_dim=width,
        min_size=patches.min_size,
        classes=classes,
    )


def _block(width: int, depth: int, *, halve: bool) -> nn.Sequential:
    from torch import nn

    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    return nn.Sequential(*layers, *[nn.AvgPool2d(3, stride=2, padding=1)] * halve)
