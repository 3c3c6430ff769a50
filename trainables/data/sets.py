"""An image set: the unit in which images are described, digested and cached."""

from __future__ import annotations

from dataclasses import dataclass

from trainables.contract import Split


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSet:
    """All images of one generator (or real source) in one split.

    Attributes:
        generator: name of the folder: a fake generator, or a source of real images.
        family: ``real``, ``gan``, ``dm``, or ``fake`` where the family is not known.
        label: 0 real, 1 fake.
        split: what its images are for.
        count: how many images.
        partner: for reals that come with one generator's fakes: that generator; blank: they serve all.
        digest: of the images' contents, their order and the rule that decodes them; one digest, the same pixels.
    """

    generator: str
    family: str
    label: int
    split: Split
    count: int
    digest: str
    partner: str = ""
