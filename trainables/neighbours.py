"""Nearest neighbours as a head: two banks of known features, and how much nearer one is than the other."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from trainables.calibration import temperature
from trainables.contract import Images
from trainables.detector import Detector, evaluating, fake_log_odds
from trainables.held_out import figures

Features = NDArray[np.float32]


class Neighbours(nn.Module):
    """(B, D) features to (B, C) logits: 0 of real, ``c_m(fake) - c_m(real)`` of every fake class, ``m = (k + 1) / 2``.

    c_m is the cosine to the m-th nearest feature of a bank. For odd k the sign is that of a vote of the k nearest of
    both banks: with m fakes among them the m-th fake is nearer than the m-th real one, and the other way round. The
    banks are buffers of as many rows as there were images: a state brings its own size.

    Args:
        features: D.
        k: odd.
        classes: C; the neighbours are fake or real, and do not say of which generator.
    """

    real: Tensor
    fake: Tensor

    def __init__(self, features: int, k: int, classes: int) -> None:
        super().__init__()
        self.rank, self.fakes = (k + 1) // 2, classes - 1
        for name in ("real", "fake"):
            self.register_buffer(name, functional.normalize(torch.randn(self.rank, features), dim=1))
        self.register_load_state_dict_pre_hook(_resize)  # type: ignore[no-untyped-call]  # torch's

    def remember(self, real: Features, fake: Features) -> None:
        """Make these (N_r, D) and (N_f, D) features the banks."""
        for name, bank in (("real", real), ("fake", fake)):
            rows = functional.normalize(torch.from_numpy(np.array(bank, np.float32)), dim=1)
            setattr(self, name, rows.to(self.real.device))

    def forward(self, features: Tensor) -> Tensor:
        """The logits."""
        # In double precision: cosines of a network's features are all near 1, and their differences small.
        units = functional.normalize(features.double(), dim=1)
        banks = self.fake.double(), self.real.double()
        fake, real = ((units @ bank.T).topk(self.rank, dim=1).values[:, -1:] for bank in banks)
        nearer = (fake - real).to(features.dtype)
        return torch.cat([torch.zeros_like(nearer), nearer.expand(-1, self.fakes)], dim=1)


def temper(detector: Detector, features: Features, images: Images) -> dict[str, float]:
    """Scale the log odds of the detector's head to probabilities on labelled images; their sign stays.

    Args:
        features: (N, D) of these images.

    Returns:
        ``val_accuracy``, ``val_auroc`` and ``val_loss`` of the images, each seen whole.

    Raises:
        InputError: the images are of one class.
    """
    given = torch.from_numpy(np.array(features, np.float32)).to(detector.scale.device)
    with evaluating(detector), torch.inference_mode():
        logits = detector.head(given)[:, :2].double().cpu().numpy()
        detector.scale.fill_(1 / temperature(logits, images.labels))
        detector.shift.fill_(-np.log(detector.classes - 1))
        z = fake_log_odds(detector.classify(given)).double().cpu().numpy()
    return figures(z, images)


def _resize(module: nn.Module, state: dict[str, Any], prefix: str, *_: object) -> None:
    for name in ("real", "fake"):
        if (kept := state.get(prefix + name)) is not None:
            setattr(module, name, torch.empty_like(kept, device=getattr(module, name).device))
