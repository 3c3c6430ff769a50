"""Any detector at all, known by its scores of the test images alone: there is nothing to train, adapt or look into."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trainables.contract import Split
from trainables.outside import ScoreTable, looked_up, read_scores

if TYPE_CHECKING:
    from trainables.data.manifest import Manifest

Config = ScoreTable


def look_up(config: ScoreTable, manifest: Manifest, generators: Sequence[str]) -> dict[str, float]:
    """P(fake) in [0, 1] of the test images of these generators and real sources, by digest.

    Raises:
        InputError: the table cannot be read, or does not say one thing of every image; see ``trainables.outside``.
    """
    import pandas as pd

    images = pd.concat([manifest.rows(name, Split.TEST) for name in generators]).drop_duplicates("digest")
    # A table may name any of the files that hold one image, those that count only once among them.
    known = manifest.frame[manifest.frame["problem"] == ""]
    found = looked_up(read_scores(config), images, known)
    return dict(zip(images["digest"], found.tolist(), strict=True))
