"""A published network as a part of a member: its name and the weights it starts from, as parameters."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import BeforeValidator, model_validator

from trainables.backbones.names import OPEN_CLIP, find_backbone
from trainables.backbones.weights import as_weights, check_tag
from trainables.contract import Config
from trainables.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from trainables.backbones.backbone import Backbone
    from trainables.detector import Detector

_FRONT, _BODY = "front.", "body."
OURS = {"scale", "shift"}
"""What among its tensors makes a file's those of a detector of ours."""


class OnBackbone(Config):
    """Parameters of a member that is built on a network; such members inherit them.

    Attributes:
        architecture: torchvision's name of a network (``resnet18``, ``vgg16``), ``timm/<name>``, or
            ``open_clip/<name>``, which needs the extra ``clip``.
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

    def mend_missing(self, key: str) -> str:
        """What fetches weights of CLIP; of any other file as of any member's."""
        if key != "weights" or not self.architecture.startswith(OPEN_CLIP):
            return super().mend_missing(key)
        from trainables.backbones.from_open_clip import mend_missing

        return mend_missing(self.architecture.removeprefix(OPEN_CLIP))

    def backbone(self, *, stem_stride: int = 2, as_is: bool = False) -> Backbone:
        """The network, without its classifier.

        Args:
            stem_stride: as ``build_backbone`` takes it.
            as_is: whether its features are used as they are: a detector of ours among the weights then has to have
                been trained on what the network sees here. Else any is a start.

        Raises:
            InputError: the weights are missing, unreadable, another network's, or learnt on something else than they
                are to see; or its stem has no such stride.
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
        if as_is:
            _check_front(backbone, state, str(self.weights))
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

    weights.load(backbone.body, _below(_BODY, state), name, dropped=(), where=where)


def _check_front(backbone: Backbone, state: dict[str, Tensor], where: str) -> None:
    own, learnt = backbone.front.state_dict(), _below(_FRONT, state)
    if own.keys() != learnt.keys() or not all(own[key].equal(learnt[key]) for key in own):
        problem = "this detector's network was trained on something else than the image, and is used as it is"
        fix = "name weights of a detector without a front end, or train the network further: `kind: backbone`"
        raise InputError(problem, where=where, fix=fix)


def _below(prefix: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
