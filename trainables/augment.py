"""Random changes to training images, drawn for each image by itself.

torchvision's transforms draw one set of parameters for a whole batch, from torch's global generator. Here the
parameters of an image come from a generator of its own, and torchvision applies them: the draw does not depend on how
images are shared between workers, or on which thread comes first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from trainables.contract import Config, of_preset
from trainables.errors import InputError
from trainables.imaging import through_jpeg
from trainables.prefetch import in_threads

if TYPE_CHECKING:
    from torch import Tensor

PRESETS: dict[str, dict[str, Any]] = {
    "none": {},
    "cnndetection": {"blur": 0.5, "jpeg": 0.5},
    "cnndetection_light": {"blur": 0.1, "jpeg": 0.1},
    "affine": {"shear": 10.0, "scale": (0.8, 1.2)},
}
"""By name: ``cnndetection`` and ``cnndetection_light`` are the two recipes of Wang et al. 2020 (arXiv 1912.11035)."""

Probability = Annotated[float, Field(ge=0, le=1)]


class Augment(Config):
    """What may happen to a training image after mirroring, in this order; or the name of a preset.

    Both classes and both domains are treated alike. Images that are scored are never changed.

    Attributes:
        vertical: probability of being turned upside down.
        shear: degrees; the image is sheared along its rows by an angle drawn from [-shear, shear].
        scale: range of the factor that the image is scaled by about its centre. Shear and scale are one affine map
            with nearest-neighbour sampling and black where there was nothing, torchvision's defaults.
        blur: probability of a Gaussian blur.
        sigma: range of its standard deviation in pixels.
        jpeg: probability of a JPEG compression, 4:2:0, by Pillow: torchvision gives its own codec up.
        quality: range of its quality, both ends included.
    """

    vertical: Probability = 0.0
    shear: float = Field(default=0.0, ge=0, lt=90)
    scale: tuple[float, float] = (1.0, 1.0)
    blur: Probability = 0.0
    sigma: tuple[float, float] = (0.0, 3.0)
    jpeg: Probability = 0.0
    quality: tuple[int, int] = (30, 100)

    @model_validator(mode="before")
    @classmethod
    def _of_preset(cls, given: Any) -> Any:
        return of_preset(given, PRESETS, "augmentations")

    @model_validator(mode="after")
    def _ranges(self) -> Augment:
        for name, least, most in (("scale", 0.1, 10), ("sigma", 0, 20), ("quality", 1, 100)):
            low, high = getattr(self, name)
            if not least <= low <= high <= most:
                fix = f"two numbers from {least} to {most}, the smaller one first"
                raise InputError("not a range", where=name, value=[low, high], fix=fix)
        return self

    @property
    def active(self) -> bool:
        """Whether anything is ever changed."""
        moved = self.vertical or self.shear or self.scale != (1.0, 1.0)
        return bool(moved or self.blur or self.jpeg)

    def draw(self, rng: np.random.Generator) -> Change:
        """What becomes of one image; every draw takes as many numbers, whatever the parameters."""
        vertical, shear, scale, blur, sigma, jpeg, quality = rng.random(7).tolist()
        low, high = self.quality
        return Change(
            vertical=vertical < self.vertical,
            shear=self.shear * (2 * shear - 1),
            scale=_within(self.scale, scale),
            sigma=_within(self.sigma, sigma) if blur < self.blur else 0.0,
            quality=low + int(quality * (high - low + 1)) if jpeg < self.jpeg else 0,
        )


NOTHING = Augment()


class Change(NamedTuple):
    """What becomes of one image.

    Attributes:
        vertical: turned upside down.
        shear, scale: of the affine map; 0 and 1: none.
        sigma: of the blur; 0: none.
        quality: of the JPEG compression; 0: none.
    """

    vertical: bool = False
    shear: float = 0.0
    scale: float = 1.0
    sigma: float = 0.0
    quality: int = 0

    def of(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(H, W, 3) to a new (H, W, 3)."""
        if self.vertical or self.sigma or (self.shear, self.scale) != (0.0, 1.0):
            image = self._moved_and_blurred(image)
        return through_jpeg(image, self.quality, 420) if self.quality else image.copy()

    def _moved_and_blurred(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        import torch
        from torchvision.transforms.v2 import functional

        tensor = torch.from_numpy(image).permute(2, 0, 1)
        if self.vertical:
            tensor = functional.vertical_flip(tensor)
        if (self.shear, self.scale) != (0.0, 1.0):
            tensor = functional.affine(tensor, angle=0.0, translate=[0, 0], scale=self.scale, shear=[self.shear, 0.0])
        if self.sigma:
            tensor = _blurred(tensor, self.sigma)
        moved: NDArray[np.uint8] = tensor.permute(1, 2, 0).numpy()
        return moved


def changed(pixels: NDArray[np.uint8], changes: Sequence[Change]) -> NDArray[np.uint8]:
    """(B, H, W, 3) with a change for each image, made in threads, in place."""

    def change(k: int) -> None:
        pixels[k] = changes[k].of(pixels[k])

    in_threads(change, [k for k, each in enumerate(changes) if each != Change()])
    return pixels


def _within(bounds: tuple[float, float], share: float) -> float:
    low, high = bounds
    return low + share * (high - low)


def _blurred(tensor: Tensor, sigma: float) -> Tensor:
    """A Gaussian blur whose kernel ends at four standard deviations, as SciPy's, or at the size of the image."""
    from torchvision.transforms.v2 import functional

    radius = min(int(4 * sigma + 0.5), *(side - 1 for side in tensor.shape[-2:]))
    if not radius:
        return tensor  # less than an eighth of a pixel
    # A Gaussian is separable, and two passes of one row take a tenth of the time of one pass of the square.
    along = functional.gaussian_blur(tensor.float(), [2 * radius + 1, 1], [sigma, sigma])
    across = functional.gaussian_blur(along, [1, 2 * radius + 1], [sigma, sigma])
    blurred: Tensor = across.round().to(tensor.dtype)
    return blurred
