"""The image towers of open_clip's CLIP models as backbones: vision transformers, with weights of a file alone.

Radford et al. 2021 (arXiv 2103.00020); Cherti et al. 2023 (arXiv 2212.07143). open_clip comes with the extra ``clip``.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from torch import Tensor, nn

from trainables.backbones import weights as published
from trainables.backbones.backbone import Backbone, normalisation
from trainables.backbones.names import OPEN_CLIP
from trainables.backbones.shaping import without_in_place
from trainables.backbones.transformer import Transformer
from trainables.errors import InputError
from trainables.resampling import Resampled

TOWER = "visual."
OTHERWISE = ("timm_model_name", "attentional_pool", "final_ln_after_pool")
"""What in a model's description says that its image tower is made otherwise than a plain vision transformer."""


class Projection(nn.Module):
    """(B, D) to (B, D'), into the space that images share with texts.

    Args:
        matrix: (D, D').
    """

    def __init__(self, matrix: nn.Parameter) -> None:
        super().__init__()
        self.matrix = matrix

    def forward(self, features: Tensor) -> Tensor:
        """The features, projected."""
        return features @ self.matrix


def build(name: str, weights: Path | str | None) -> Backbone:
    """As ``build_backbone``, for a name that is open_clip's, without ``open_clip/``.

    Larger images are seen in their middle alone, as Ojha et al. 2023 test; smaller ones are made larger, bicubic, as
    CLIP itself has it. Its features are those that are compared with texts', of no length in particular.

    Raises:
        InputError: the model's image tower is no vision transformer with a class token; the weights are missing,
            unreadable or another model's.
    """
    tower = _tower(name)
    if weights is not None:
        _start(tower, name, weights)
    side, width = int(tower.image_size[0]), int(tower.proj.shape[1])
    body = Transformer(_parts(tower), _layers(len(tower.transformer.resblocks)))
    return Backbone(
        front=nn.Sequential(Resampled(side, crop=True), normalisation(*_colours())),
        body=nn.Sequential(without_in_place(body), Projection(tower.proj)),
        layers=body.maps(),
        feature_dim=width,
        min_size=int(tower.patch_size[0]),
    )


def command(name: str) -> str:
    """What fetches weights of this model, to be run where there is a network."""
    import open_clip

    tags = open_clip.list_pretrained_tags_by_model(name)
    for tag in tags:
        hub = str(open_clip.get_pretrained_cfg(name, tag).get("hf_hub") or "").strip("/")
        if hub:
            return f"hf download {hub} open_clip_model.safetensors --local-dir weights"
    return "open_clip publishes none under this name: train them, and save the model's state dict as .safetensors"


def mend_missing(name: str) -> str:
    """What to do where a file of this model's weights is not there."""
    return f"fetch it where there is a network, with `{command(name)}`, and name the file; nothing is downloaded here"


def _tower(name: str) -> Any:
    """The image tower, with random weights."""
    import open_clip
    from open_clip.model import _build_vision_tower

    config = open_clip.get_model_config(name)
    assert config is not None, name  # its name was found
    vision = config["vision_cfg"]
    other = any(vision.get(key) for key in OTHERWISE) or vision.get("pool_type", "tok") != "tok"
    if other or not isinstance(vision["layers"], int):
        fix = "choose one of its plain ones, such as open_clip/ViT-L-14"
        raise InputError("this model's image tower is no plain vision transformer", value=OPEN_CLIP + name, fix=fix)
    return _build_vision_tower(config["embed_dim"], vision, quick_gelu=bool(config.get("quick_gelu")))


def _start(tower: nn.Module, name: str, weights: Path | str) -> None:
    path = Path(weights)
    if not path.is_file():
        raise InputError(f"the weights of {OPEN_CLIP}{name} are not there", where=str(path), fix=mend_missing(name))
    found = published.read(path)
    # A whole model's state, or its image tower's alone.
    towers = {key.removeprefix(TOWER): value for key, value in found.items() if key.startswith(TOWER)}
    published.load(tower, towers or found, OPEN_CLIP + name, dropped=(), where=str(path))


def _parts(tower: Any) -> Any:
    """The tower's parts under torchvision's names; what is done to the first tokens is a normalisation here."""
    encoder = SimpleNamespace(
        pos_embedding=nn.Parameter(tower.positional_embedding.detach()[None]),
        dropout=tower.ln_pre,
        layers=tower.transformer.resblocks,
        ln=tower.ln_post,
    )
    first = nn.Parameter(tower.class_embedding.detach()[None, None])
    return SimpleNamespace(class_token=first, conv_proj=tower.conv1, encoder=encoder)


def _layers(blocks: int) -> dict[str, int]:
    """As of torchvision's: after a quarter, a half and three quarters of the blocks, and before the last."""
    after = sorted({max(1, blocks // 4), max(1, blocks // 2), max(1, blocks * 3 // 4), max(1, blocks - 1)})
    return {f"block{count}": count for count in after}


def _colours() -> tuple[tuple[float, ...], tuple[float, ...]]:
    from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD

    return tuple(OPENAI_DATASET_MEAN), tuple(OPENAI_DATASET_STD)
