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
            ``oracle`` (reads all of them: its figures stand apart), ``continual`` (a step of a sequence of generators),
            ``batchnorm`` (needs BatchNorm layers), and those of ``trainables.composing``. Detectors: ``weights`` (can
            start from a file), and those of ``trainables.contract``. Selections: ``third`` (needs a third generator),
            ``oracle`` (reads target labels). Corruptions: ``identity`` (changes nothing). Generators: their family,
            ``gan`` or ``dm``.
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
    "backbone": _entry(
        "detectors.backbone", "any network of torchvision's or timm's by its name, such as resnet50", "weights"
    ),
    "cnndetection": _entry(
        "detectors.cnndetection", "a ResNet-50 trained on blurred and compressed images (Wang 2020)", "weights"
    ),
    "npr": _entry("detectors.npr", "differences within blocks of 2x2 pixels, then a small or half a ResNet"),
    "srm": _entry("detectors.srm", "the 30 rich-model filters of steganalysis, then a small CNN"),
    "constrained": _entry("detectors.constrained", "learnt filters that are prediction errors, then a small CNN"),
    "patches": _entry("detectors.patches", "small patches judged one by one by a network that is cut off early"),
    "patchcraft": _entry(
        "detectors.patchcraft", "noise of an image's richest texture against that of its poorest, through a small CNN"
    ),
    "gramnet": _entry("detectors.gramnet", "a ResNet-18, and the global texture of what it sees (Gram-Net)", "weights"),
    "frozen": _entry(
        "detectors.frozen", "any network's features as they are, under an SVM or the like", "solved", "weights"
    ),
    "clip_linear": _entry(
        "detectors.clip_linear", "CLIP's features as they are, under one affine map (UnivFD)", "solved", "weights"
    ),
    "clip_knn": _entry(
        "detectors.clip_knn", "nearest neighbours by cosine among CLIP's features (UnivFD)", "solved", "weights"
    ),
    "clip_svm": _entry(
        "detectors.clip_svm", "CLIP's features of a handful of images, under a linear SVM", "solved", "weights"
    ),
    "rine": _entry(
        "detectors.rine", "every depth of a frozen network, weighed by what it tells", "objective", "weights"
    ),
    "lora_backbone": _entry(
        "detectors.lora_backbone", "a frozen network with low-rank corrections, and a linear head", "weights"
    ),
    "dfx": _entry("detectors.dfx", "three specialised networks, fused (DeepFeatureX)", "fused", "weights"),
    "compact": _entry("detectors.compact", "what few directions of a generator's images explain is its", "solved"),
    "mean_colour": _entry("detectors.mean_colour", "the mean of each colour under a linear head: a floor", "solved"),
    "azimuthal": _entry("detectors.azimuthal", "power spectrum by frequency, under a linear head", "solved"),
    "dct": _entry("detectors.dct", "logarithms of the cosine transform, under a linear head", "solved"),
    "dct_cnn": _entry("detectors.dct_cnn", "logarithms of the cosine transform, then a small CNN", "prepared"),
    "fft_real": _entry("detectors.fft_real", "real part of the Fourier transform, then any network", "weights"),
    "fft_logmag": _entry(
        "detectors.fft_logmag", "standardised log magnitudes of frequencies, then any network", "prepared", "weights"
    ),
    "scores": _entry("detectors.scores", "any detector at all, by a table of its scores", "outside"),
}

ADAPTATIONS: Registry = {
    "source_only": _entry("adaptation.source_only", "the source detector as it is", "identity"),
    "source_longer": _entry("adaptation.source_longer", "the source training goes on: a control"),
    "oracle": _entry("adaptation.oracle", "trained on the target's labelled images: a bound", "oracle"),
    "recalibrate": _entry(
        "adaptation.recalibrate",
        "threshold from unlabelled scores under a stated prior; Platt; temperature",
        version=2,
    ),
    "adabn": _entry("adaptation.adabn", "BatchNorm statistics of the target", "batchnorm"),
    "tent": _entry("adaptation.tent", "entropy minimised over BatchNorm's scales and shifts", "batchnorm"),
    "sar": _entry("adaptation.sar", "entropy of reliable images, sharpness-aware, over normalisation layers"),
    "few_shot": _entry("adaptation.few_shot", "everything fine-tuned on k labelled images a class, L2-SP", "few"),
    "linear_probe": _entry("adaptation.linear_probe", "head refitted on k labelled images a class", "few"),
    "lp_ft": _entry("adaptation.lp_ft", "linear probe, then everything fine-tuned from there", "few"),
    "surgical": _entry("adaptation.surgical", "one block fine-tuned on k labelled images a class", "few"),
    "finetune": _entry("adaptation.finetune", "head and deepest blocks fine-tuned on k labelled images a class", "few"),
    "lora": _entry("adaptation.lora", "low-rank corrections trained on k labelled images a class", "few"),
    "coral": _entry("adaptation.coral", "Deep CORAL: align feature covariances", "part", version=2),
    "dann": _entry(
        "adaptation.dann", "domain-adversarial training with gradient reversal", "part", "adversary", version=2
    ),
    "ddc": _entry("adaptation.ddc", "DDC: align mean features (linear MMD)", "part"),
    "dan": _entry("adaptation.dan", "DAN: align features under several Gaussian kernels (MMD)", "part"),
    "cdan": _entry("adaptation.cdan", "DANN on features by class, certain images first (CDAN+E)", "part", "adversary"),
    "daln": _entry("adaptation.daln", "the classifier as its own discriminator (NWD)", "part", "no adversary"),
    "rada": _entry("adaptation.rada", "aligned target images relabelled for the discriminator", "part", "on adversary"),
    "fgda": _entry("adaptation.fgda", "align the gradients of features, with or without JREG", "part"),
    "jreg": _entry("adaptation.jreg", "Jacobian of the source logits by features kept small", "part"),
    "sdat": _entry("adaptation.sdat", "sharpness-aware steps of the task alone, around any other method", "part"),
    "mcc": _entry("adaptation.mcc", "minimum class confusion on the target", "part"),
    "mcd": _entry("adaptation.mcd", "features where two classifiers agree on the target", "part"),
    "jdot": _entry("adaptation.jdot", "DeepJDOT: optimal transport of features and labels", "part"),
    "mean_teacher": _entry("adaptation.mean_teacher", "agree with the average of the detector's own past", "part"),
    "fixmatch": _entry("adaptation.fixmatch", "sure predictions of target images, kept under strong views", "part"),
    "pseudo_label": _entry("adaptation.pseudo_label", "train on the surest predictions of every class, in rounds"),
    "shot": _entry("adaptation.shot", "source-free: head frozen, information maximisation, centroid labels"),
    "idann": _entry("adaptation.idann", "the surest target images join the labelled ones, until none is left"),
    "auxselftrain": _entry("adaptation.auxselftrain", "the source exchanged for the target over M rounds"),
    "compose": _entry("adaptation.compose", "several methods in one training: {base: dann, with: [coral, sdat]}"),
    "naive": _entry("adaptation.naive", "in a sequence: trained on the new generator alone", "continual"),
    "replay": _entry("adaptation.replay", "in a sequence: some images of earlier generators come again", "continual"),
    "lwf": _entry("adaptation.lwf", "in a sequence: the answers of before are kept on new images", "continual"),
    "ewc": _entry("adaptation.ewc", "in a sequence: weights that earlier generators need move less", "continual"),
    "joint": _entry("adaptation.joint", "in a sequence: all generators so far again, a bound", "continual"),
    "tta": _entry("adaptation.tta", "test-time augmentation: the mean answer to mirrored and turned images"),
}

ATTACKS: Registry = {
    "pgd": _entry("attacks.pgd", "projected gradient descent in L-infinity (ART), both directions"),
}

CORRUPTIONS: Registry = {
    "identity": _entry("corruptions.identity", "nothing: a control that scores as clean, bit for bit", "identity"),
    "jpeg": _entry("corruptions.jpeg", "JPEG compression at a quality"),
    "webp": _entry("corruptions.webp", "lossy WebP compression at a quality"),
    "gaussian_blur": _entry("corruptions.gaussian_blur", "Gaussian blur of a sigma or kernel in pixels"),
    "gaussian_noise": _entry("corruptions.gaussian_noise", "additive Gaussian noise, sigma of 255"),
    "resize": _entry("corruptions.resize", "resampling by a factor or to a size, and back"),
    "crop": _entry("corruptions.crop", "a share of the side, or a quadrant, and back to size"),
    "rotation": _entry("corruptions.rotation", "rotation by degrees, the canvas kept"),
    "mirror": _entry("corruptions.mirror", "left and right, or top and bottom, swapped"),
    "gamma": _entry("corruptions.gamma", "a power law on brightness"),
    "median": _entry("corruptions.median", "median filter of a window in pixels"),
    "bit_depth": _entry("corruptions.bit_depth", "fewer bits a channel"),
    "social": _entry("corruptions.social", "a social network's chain: scaled down, JPEG, cropped"),
}

ANALYSES: Registry = {
    "gradcam": _entry("analyses.gradcam", "Grad-CAM by layer and class target, real, seen and unseen fake", version=2),
}

GENERATORS: Registry = {
    "tconv": _entry("generators.tconv", "2x2 transposed-convolution checkerboard", "gan"),
    "nearest": _entry("generators.nearest", "4x4 nearest-neighbour up-sampling pattern", "gan"),
    "bilinear": _entry("generators.bilinear", "high-frequency deficit of a smooth decoder", "dm"),
    "latent8": _entry("generators.latent8", "8x8 latent block gains", "dm"),
}

SELECTIONS: Registry = {
    "source_val": _entry("selection.source_val", "accuracy on held-out source images: the default"),
    "leave_one_out": _entry(
        "selection.leave_one_out", "held-out fakes of third generators, against the source's reals", "third"
    ),
    "oracle": _entry("selection.oracle", "accuracy on labelled held-out target images: a bound", "oracle"),
    "entropy": _entry("selection.entropy", "predictions are sure, one by one"),
    "diversity": _entry("selection.diversity", "predictions are of both classes, all together"),
    "im": _entry("selection.im", "information maximisation: sure one by one, of both classes together"),
    "bnm": _entry("selection.bnm", "nuclear norm of the batch of predictions"),
    "snd": _entry("selection.snd", "soft neighbourhood density of the target's features"),
    "dev": _entry("selection.dev", "source risk weighted as the target, with a control variate"),
    "iwv": _entry("selection.iwv", "source risk weighted as the target"),
    "circular": _entry("selection.circular", "from the target's predictions back to the source's labels"),
    "class_ami": _entry("selection.class_ami", "clusters of the target's features agree with its predictions"),
}

LAYOUTS: Registry = {
    "generic": _entry("layouts.generic", "real/<source>/ and fake/<generator>/, with manifest.csv or without"),
    "forensynths": _entry(
        "layouts.forensynths", "<generator>/[<category>/]{0_real,1_fake}/, under train, val, test or not"
    ),
    "genimage": _entry("layouts.genimage", "<generator>/{train,val}/{nature,ai}/"),
    "deepfeaturex": _entry(
        "layouts.deepfeaturex", "{dm_generated,gan_generated,real}/<architecture>/, with guidance.csv"
    ),
    "vmr": _entry("layouts.vmr", "one folder of FFHQ, and one folder a generator"),
    "coco": _entry("layouts.coco", "COCO photographs, and folders of images generated from their captions"),
    "truefake": _entry("layouts.truefake", "TrueFace and TrueFake: before and after social networks, as channels"),
    "cifake": _entry("layouts.cifake", "{train,test}/{REAL,FAKE}/"),
    "flat": _entry("layouts.flat", "one folder of images of one origin, such as DiffusionDB"),
    "manifest": _entry("layouts.manifest", "a CSV or Parquet table of paths, labels and generators"),
    "webdataset": _entry("layouts.webdataset", "WebDataset shards: .tar archives of images and their labels"),
    "huggingface": _entry("layouts.huggingface", "a Hugging Face `datasets` folder: Arrow tables with an image column"),
}

REGISTRIES: Mapping[str, Registry] = {
    "detectors": DETECTORS,
    "adaptations": ADAPTATIONS,
    "attacks": ATTACKS,
    "corruptions": CORRUPTIONS,
    "analyses": ANALYSES,
    "generators": GENERATORS,
    "selections": SELECTIONS,
    "layouts": LAYOUTS,
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
