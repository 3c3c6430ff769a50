"""Gram-Net: a ResNet, and beside it the global texture of what it sees at every depth.

Liu et al. 2020, "Global Texture Enhancement for Fake Face Detection in the Wild" (CVPR, arXiv 2002.00133), and the
authors' code (liuzhengzhe/Global_Texture_Enhancement_for_Fake_Face_Detection_in_the-Wild, commit c02c9a0673). Which
maps occur together, wherever in the image, is their Gram matrix; six blocks (``trainables.gram``) make 32 features of
it each: of the image, of ResNet-18's first convolution, of its first pooling, and of its layers 1, 2 and 3. With the
512 features of layer 4 they are 704, under a head of two affine maps.

As published: where the blocks stand, their layers and widths, and the head's. Not as published: colours are normalised
as ImageNet's, where the authors' code takes grey levels as they are; a factor that scales all textures alike is left to
the head, which has no dropout. Published training is on faces of 512 x 512 pixels, made smaller and larger again at
random, from ImageNet's weights, by Adam at 1e-5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from trainables.architecture import OnBackbone
from trainables.recipe import Recipe

if TYPE_CHECKING:
    from trainables.detector import Detector

WIDTHS = (3, 64, 64, 64, 128, 256)
"""Of what the six stages of a ResNet of basic blocks are given."""
FEATURES, HIDDEN = 704, 512


class Config(OnBackbone):
    """Parameters of ``gramnet``; the weights are those of the ResNet, its blocks and head are always new.

    Attributes:
        architecture: ``resnet18`` is the published one.
        recipe: how it is trained; at the usual 1e-3 from random weights, from published ones at less.
    """

    architecture: Literal["resnet18", "resnet34"] = "resnet18"
    recipe: Recipe = Recipe(batch=32)


def build(config: Config, classes: int) -> Detector:
    """A detector with the ResNet's layers; what Grad-CAM finds in them leaves out the textures of the layers before.

    Raises:
        InputError: the weights are missing, unreadable or another network's.
    """
    from torch import nn

    from trainables.detector import Detector
    from trainables.gram import WithTexture
    from trainables.heads import mlp

    backbone = config.backbone()
    first = nn.Sequential(*(backbone.body.get_submodule(name) for name in ("conv1", "bn1", "relu")))
    stages = [first, backbone.body.get_submodule("maxpool"), *backbone.layers.values()]
    return Detector(
        front=backbone.front,
        body=WithTexture(stages, WIDTHS),
        head=mlp(FEATURES, HIDDEN, classes),
        layers=backbone.layers,
        feature_dim=FEATURES,
        min_size=backbone.min_size,
        classes=classes,
    )
