"""Every member by name. Importing this imports no member and no torch.

A new member is one file in its folder and one line here; the line also enrols it in the conformance suite.
Raise ``version`` when a member's code changes what it computes: the version is part of its cells' ids.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType

from trainables.contract import Config
from trainables.errors import InputError, nearest


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Where a member lives and what may be known of it without importing it.

    Attributes:
        module: its module; the class ``Config`` and the room's function are found there.
        summary: one line for ``orchestrator list``.
        version: of what it computes; part of the cell's id.
        traits: adaptation: ``identity`` (needs no cell of its own), ``few`` (reads labelled target images),
            ``batchnorm`` (needs BatchNorm layers). Detectors: ``weights`` (can start from a file).
            Generators: their family, ``gan`` or ``dm``.
    """

    module: str
    summary: str
    version: int = 1
    traits: frozenset[str] = frozenset()

    def load(self) -> ModuleType:
        """The member's module."""
        return importlib.import_module(self.module)

    @property
    def config(self) -> type[Config]:
        """The member's ``Config``."""
        return self.load().Config  # type: ignore[no-any-return]


Registry = Mapping[str, Entry]


def _entry(module: str, summary: str, *traits: str, version: int = 1) -> Entry:
    return Entry(module=f"trainables.{module}", summary=summary, version=version, traits=frozenset(traits))


DETECTORS: Registry = {
    "residual_cnn": _entry("detectors.residual_cnn", "fixed high-pass filters, then a small CNN"),
    "resnet18": _entry("detectors.resnet18", "torchvision ResNet-18, from random or given weights", "weights"),
}

ADAPTATIONS: Registry = {
    "source_only": _entry("adaptation.source_only", "the source detector as it is", "identity"),
    "recalibrate": _entry("adaptation.recalibrate", "threshold from unlabelled scores under a stated prior"),
    "adabn": _entry("adaptation.adabn", "BatchNorm statistics of the target", "batchnorm"),
    "coral": _entry("adaptation.coral", "Deep CORAL: align feature covariances"),
    "dann": _entry("adaptation.dann", "domain-adversarial training with gradient reversal"),
}

ATTACKS: Registry = {
    "pgd": _entry("attacks.pgd", "projected gradient descent in L-infinity (ART), both directions"),
}

CORRUPTIONS: Registry = {
    "jpeg": _entry("corruptions.jpeg", "JPEG compression at a quality"),
    "gaussian_blur": _entry("corruptions.gaussian_blur", "Gaussian blur of a radius in pixels"),
    "gaussian_noise": _entry("corruptions.gaussian_noise", "additive Gaussian noise, sigma of 255"),
}

ANALYSES: Registry = {
    "gradcam": _entry("analyses.gradcam", "Grad-CAM by layer and class target, real, seen and unseen fake"),
}

GENERATORS: Registry = {
    "tconv": _entry("generators.tconv", "2x2 transposed-convolution checkerboard", "gan"),
    "nearest": _entry("generators.nearest", "4x4 nearest-neighbour up-sampling pattern", "gan"),
    "bilinear": _entry("generators.bilinear", "high-frequency deficit of a smooth decoder", "dm"),
    "latent8": _entry("generators.latent8", "8x8 latent block gains", "dm"),
}

REGISTRIES: Mapping[str, Registry] = {
    "detectors": DETECTORS,
    "adaptations": ADAPTATIONS,
    "attacks": ATTACKS,
    "corruptions": CORRUPTIONS,
    "analyses": ANALYSES,
    "generators": GENERATORS,
}


def find(room: str, name: str) -> Entry:
    """The entry of a member.

    Raises:
        InputError: no member has this name; the message gives the nearest names.
    """
    registry = REGISTRIES[room]
    if name not in registry:
        raise InputError(f"unknown name in {room}", value=name, fix=nearest(name, registry))
    return registry[name]
