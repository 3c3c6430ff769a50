"""A network's features as they are, under a linear head that is solved: transfer without training.

As source project S1 has it, ``{architecture: vgg16, head: svm}``: VGG-16 up to its second fully connected layer, 4096
features an image, under a linear SVM. It feeds the network 224 x 224 pixels and has one classifier for each size that
images were brought to before; here these are detectors that differ in ``preprocess`` (the files' own squares, 64, 256),
and a convolutional network takes the squares as they are.

**It needs weights to mean something.** With none given the network is random, and what is measured is how far random
filters go: a floor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trainables.architecture import OnBackbone
from trainables.contract import Context, Images, Outcome
from trainables.solving import LinearHead

if TYPE_CHECKING:
    from trainables.detector import Detector


class Config(OnBackbone, LinearHead):
    """Parameters of ``frozen``: the network's, and its head's."""


def build(config: Config, classes: int) -> Detector:
    """A detector of which the head alone is ever trained: the network's weights and statistics stay as they are.

    Layers are the network's.

    Raises:
        InputError: the weights are missing, unreadable, another network's, or learnt behind a front end.
    """
    from trainables.heads import linear

    return config.backbone(as_is=True).frozen().detector(linear, classes)


def solve(config: Config, detector: Detector, source: Images, source_val: Images, context: Context) -> Outcome:
    """Fit the head to the source's features, and its probabilities to held-out images.

    Raises:
        InputError: the images are of one class.
    """
    from trainables import solving

    return solving.solve(config, detector, source, source_val, context)
