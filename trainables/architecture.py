"""A published network as a part of a member: its name and the weights it starts from, as parameters."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import BeforeValidator, model_validator

from trainables.backbones.names import find_backbone
from trainables.backbones.weights import as_weights, check_tag
from trainables.contract import Config
from trainables.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from trainables.backbones.backbone import Backbone
    from trainables.detector import Detector

_BODY = "body."
OURS = {"scale", "shift"}
"""What among its tensors makes a file's those of a detector of ours."""


class OnBackbone(Config):
    """Parameters of a member that is built on a network; such members inherit them.

    Attributes:
        architecture: torchvision's name of a network (``resnet18``, ``vgg16``), or ``timm/<name>``.
        weights: a file of them (``.safetensors``, or one of ``torch.save`` that holds tensors only), which may be the
            ``model.safetensors`` of a detector of ours on this network; or a tag under which they are published. A
            classifier among them is dropped. Random weights if not given.
        allow_download: whether the published file of a tag may be fetched.
    """

    architecture: str = "resnet18"
    weights: Annotated[Path | str | None, BeforeValidator(as_weights)] = None
    allow_download: bool = False

    @model_validator(mode="after")
    def _is_there(self) -> Self:
        try:
            find_backbone(self.architecture)
        except InputError as error:
            raise error.at("architecture") from None
        if isinstance(self.weights, str):
            check_tag(self.architecture, self.weights, self.allow_download)
        return self

    def backbone(self, *, stem_stride: int = 2) -> Backbone:
        """The network, without its classifier.

        Args:
            stem_stride: as ``build_backbone`` takes it.

        Raises:
            InputError: the weights are missing, unreadable or another network's, or its stem has no such stride.
        """
        from trainables.backbones.backbone import build_backbone

        if (state := self._detector()) is None:
            return build_backbone(
                self.architecture,
                weights=self.weights,
                stem_stride=stem_stride,
                allow_download=self.allow_download,
            )
        backbone = build_backbone(self.architecture, stem_stride=stem_stride)
        _load(backbone, state, self.architecture, str(self.weights))
        return backbone

    def restore(self, detector: Detector) -> None:
        """Give a detector on this network what ``backbone`` leaves out of a file of weights: their classifier.

        Of a detector of ours that is its head and its calibration.

        Raises:
            InputError: the classifier does not fit, or there is none; or these are another detector's weights.
        """
        from trainables.backbones import weights
        from trainables.backbones.classifier import keep_classifier

        assert isinstance(self.weights, Path)
        state, where = weights.read(self.weights), str(self.weights)
        if state.keys() >= OURS:
            weights.load(detector, state, "this detector", dropped=(), where=where)
        else:
            keep_classifier(detector, state, self.architecture, where)

    def _detector(self) -> dict[str, Tensor] | None:
        """What the file of weights holds, if it is a detector of ours."""
        from trainables.backbones.weights import read

        state = read(self.weights) if isinstance(self.weights, Path) else {}
        return state if state.keys() >= OURS else None


def _load(backbone: Backbone, state: dict[str, Tensor], name: str, where: str) -> None:
    from trainables.backbones import weights

    body = {key.removeprefix(_BODY): value for key, value in state.items() if key.startswith(_BODY)}
    weights.load(backbone.body, body, name, dropped=(), where=where)
