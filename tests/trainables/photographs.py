"""Images with the edges, textures and colours of photographs, without a file."""

from __future__ import annotations

import numpy as np

from trainables.benchmark.scenes import render_scene

SIDE = 64
PHOTOGRAPHS = np.stack(
    [np.round(255 * render_scene(np.random.default_rng(seed), SIDE) ** (1 / 2.2)).astype(np.uint8) for seed in range(3)]
)
"""(3, SIDE, SIDE, 3) uint8 RGB."""
