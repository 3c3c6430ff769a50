"""Published networks by name, from images to features: torchvision's (``resnet50``) and timm's (``timm/resnet50``).

``find_backbone`` says whether there is one without importing torch, but for timm's; ``build_backbone`` makes it.
"""

from __future__ import annotations

from trainables.backbones.backbone import Backbone, build_backbone
from trainables.backbones.names import find_backbone

__all__ = ["Backbone", "build_backbone", "find_backbone"]
