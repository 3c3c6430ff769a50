from __future__ import annotations

import torch

from tests.trainables.toy import toy_detector


def test_it_sees_ninety_residuals_that_are_cut_and_not_trained() -> None:
    detector = toy_detector("srm", step=1.0, truncation=1.5)
    seen = detector.front(torch.rand(1, 3, 20, 20))
    assert seen.shape == (1, 90, 20, 20)
    assert seen.abs().max().item() == 1.5
    assert not any(parameter.requires_grad for parameter in detector.front.parameters())
    assert all(parameter.requires_grad for parameter in detector.body.parameters())


def test_a_finer_step_makes_larger_residuals() -> None:
    images = 0.5 + 0.001 * torch.rand(1, 3, 20, 20)
    coarse, fine = (toy_detector("srm", step=step).front(images) for step in (2.0, 1.0))
    assert torch.allclose(fine, 2 * coarse, atol=1e-4)


def test_it_has_the_body_of_the_small_cnn() -> None:
    count = {
        kind: sum(p.numel() for p in toy_detector(kind).parameters() if p.requires_grad)
        for kind in ("srm", "residual_cnn")
    }
    assert count["srm"] - count["residual_cnn"] == 8 * (90 - 12) * 9
