"""A detector that comes as it shall be: nothing trains it, and everything else is done with it as with any other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision import models

from orchestrator.campaign import Campaign
from orchestrator.plan.cells import Cell, Stage
from orchestrator.store.artifacts import Artifacts
from orchestrator.study.load import load_study
from orchestrator.study.model import Study
from trainables.checkpoint import load_detector

STUDY = """
name: published
data: {{root: {images}}}
detectors:
  - {{kind: resnet18, name: published, trainable: none, weights: {weights}}}
  - {{kind: resnet18, name: floor, trainable: none}}
train_generators: [tconv]
test_generators: [tconv, nearest]
adaptations: [{{kind: coral, recipe: {{epochs: 1, batch: 8}}}}]
preprocess: {{size: 32}}
tuning: {{trials: 2}}
storage: {storage}
"""


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return models.resnet18(weights=None, num_classes=1).eval()


@pytest.fixture(scope="module")
def campaign(small_data: Path, network: torch.nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    folder = tmp_path_factory.mktemp("published")
    torch.save({"model": network.state_dict(), "total_steps": 1}, folder / "fake.pth")
    text = STUDY.format(images=small_data, weights=folder / "fake.pth", storage=folder / "results")
    (folder / "study.yaml").write_text(text.replace("tuning: {trials: 2}\n", ""))
    found = Campaign.open(folder / "study.yaml")
    assert found.run(executor="serial").exit_code == 0
    return found


def _cell(campaign: Campaign, stage: Stage, name: str = "published") -> Cell:
    (cell,) = (c for c in campaign.plan() if c.stage is stage and c.tags.detector == name)
    return cell


def test_its_record_has_figures_and_no_epochs(campaign: Campaign) -> None:
    record = campaign.ledger()[_cell(campaign, Stage.TRAIN).id]
    assert record.curves == ()
    assert record.metrics["epoch"] == 0
    assert record.metrics["trained_parameters"] == 0 < record.metrics["parameters"]
    assert {"source_val_accuracy", "source_val_auroc", "source_val_loss"} <= record.metrics.keys()


def test_it_says_what_the_network_says(campaign: Campaign, network: torch.nn.Module) -> None:
    detector, _ = load_detector(Artifacts(campaign.storage).folder(_cell(campaign, Stage.TRAIN).id))
    images = torch.rand(4, 3, 32, 32)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.inference_mode():
        said = network((images - mean[:, None, None]) / std[:, None, None])[:, 0].sigmoid()
        np.testing.assert_allclose(detector.probability(images), said, atol=1e-5)


def test_an_adaptation_trains_it(campaign: Campaign) -> None:
    assert campaign.ledger()[_cell(campaign, Stage.ADAPT).id].metrics["epoch"] == 1


def test_its_report_is_written(campaign: Campaign) -> None:
    page = campaign.report_page.read_text()
    assert "published" in page
    assert "floor" in page


def test_a_tuning_of_the_study_passes_it_by(small_data: Path, tmp_path: Path) -> None:
    (tmp_path / "fake.pth").touch()
    text = STUDY.format(images=small_data, weights=tmp_path / "fake.pth", storage=tmp_path)
    (tmp_path / "study.yaml").write_text(text)
    study: Study = load_study(tmp_path / "study.yaml")
    assert [study.tuning_of(choice) for choice in study.detectors] == [None, None]
    assert study.tuning_of(study.adaptations[1]) is not None
