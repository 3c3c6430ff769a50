"""What a layout says of one image file, before the file is read."""

from __future__ import annotations

from typing import NamedTuple

PARTS = ("train", "val", "test")
"""Fixed parts that published data sets come in; a layout may also name one of our own splits (``contract.Split``)."""


class Found(NamedTuple):
    """One image, by its place in a data folder.

    Attributes:
        path: below the root, with forward slashes: a file, a member of an archive (``shards/0.tar/0001.jpg``), a row of
            a table (``data-00000.arrow/image/17``). Unique in the folder.
        label: 0 real, 1 fake.
        generator: the fake's generator, or the name of this source of real images.
        bytes: size of the encoded image.
        modified: nanoseconds since 1970, of the file that holds it.
        offset: where in that file: a byte of a .tar, a row of an .arrow file; -1 for a file of its own.
        family: ``real``, ``gan``, ``dm`` or ``fake``; blank: ``real`` or ``fake``, by the label.
        source: what a real image is of, or what a fake was learned from; blank: the generator.
        part: the part that the layout fixes: ``train``, ``val``, ``test`` or the name of a split; blank: none.
        group: images with one name here stay in one split (a scene, a person, a prompt); blank: alone.
        channel: what the image has been through: ``facebook``, ``telegram``…; blank: nothing known.
        partner: for reals that come with one generator's fakes: that generator; blank: they serve all.
    """

    path: str
    label: int
    generator: str
    bytes: int = 0
    modified: int = 0
    offset: int = -1
    family: str = ""
    source: str = ""
    part: str = ""
    group: str = ""
    channel: str = ""
    partner: str = ""
