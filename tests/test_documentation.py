"""What the pages say is so: commands exist, studies load, keys are explained, examples run, links lead somewhere."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from orchestrator.plan.catalogue import Catalogue
from orchestrator.plan.cells import Stage
from orchestrator.plan.expand import expand
from orchestrator.study.load import load_study
from orchestrator.study.model import Cache, DataFolder, Resources, Study, Tracking
from trainables.contract import AdaptationData, Images, Split
from trainables.data.preprocess import Preprocess
from trainables.data.sets import ImageSet
from trainables.data.splits import Fractions
from trainables.recipe import Recipe

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
README, STUDY_PAGE = ROOT / "README.md", ROOT / "docs" / "study.md"


def blocks(page: Path, language: str) -> list[str]:
    """The fenced examples of a page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


def named(pattern: str) -> set[str]:
    """What the pattern's group matches on any page, changelog included."""
    return {name for page in PAGES for name in re.findall(pattern, page.read_text(), re.MULTILINE)}


def output_of(*command: str) -> str:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_every_make_target_on_the_pages_exists():
    targets = set(re.findall(r"^  make ([a-z-]+)", output_of("make", "help"), re.MULTILINE))

    assert named(r"(?:^|`)make ([a-z-]+)") <= targets
    assert {"demo", "test", "test-slow", "lint", "bench", "clean"} <= targets


def test_the_readme_and_the_command_line_have_the_same_verbs():
    help_text = output_of(sys.executable, "-m", "orchestrator", "--help")
    verbs = set(re.findall(r"^[ │]+([a-z]+)  ", help_text, re.MULTILINE))
    table = set(re.findall(r"^\| `orchestrator ([a-z]+)", README.read_text(), re.MULTILINE))

    assert table == verbs
    assert named(r"`orchestrator ([a-z]+)") <= verbs


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page):
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())

    assert [link for link in links if not (page.parent / link).exists()] == []


def load_block(page: Path, folder: Path) -> Study:
    (text,) = blocks(page, "yaml")
    (folder / "study.yaml").write_text(text)
    return load_study(folder / "study.yaml")


def test_the_readmes_study_is_valid_and_each_of_its_lines_is_explained(tmp_path):
    study = load_block(README, tmp_path)
    (text,) = blocks(README, "yaml")

    assert [choice.name for choice in study.detectors] == ["residual_cnn", "resnet"]
    unexplained = [line for line in text.splitlines() if "#" not in line and not line.endswith(":")]
    assert unexplained == []


def test_the_study_page_counts_its_cells_right(tmp_path):
    study = load_block(STUDY_PAGE, tmp_path)
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "resnet18.safetensors").touch()  # weights are known by their content
    fakes = dict.fromkeys(study.test_generators, 1)
    sets = tuple(
        ImageSet(generator=name, family="fake", label=label, split=split, count=10, digest=f"{name}-{split}")
        for name, label in {**fakes, "camera_a": 0, "camera_b": 0}.items()
        for split in Split
    )
    stages = expand(study, Catalogue(sets)).stages()

    assert stages[Stage.AUDIT] == 1
    assert stages[Stage.TRAIN] == 12
    assert stages[Stage.ADAPT] == 144
    assert stages[Stage.SCORE] == 156 * 4 * 2


@pytest.mark.parametrize(
    "model",
    [Study, DataFolder, Preprocess, Recipe, Resources, Cache, Tracking],
    ids=lambda model: model.__name__,
)
def test_the_study_page_explains_every_key(model):
    page = STUDY_PAGE.read_text()
    sections = {"data", "preprocess", "resources", "cache", "tracking"}

    rows = set(re.findall(r"^\| `(?:tracking\.|cache\.)?([a-z_]+)` \|", page, re.MULTILINE))
    assert set(model.model_fields) - rows - sections == set()


def test_the_study_page_has_the_default_shares_and_says_what_each_split_is_for():
    page = STUDY_PAGE.read_text()
    (shares,) = re.findall(r"^\| `splits` \| `(.*?)` \|", page, re.MULTILINE)

    assert yaml.safe_load(shares) == Fractions().model_dump()
    assert set(re.findall(r"^\| `([a-z]+)` \| [^|]*\|$", page, re.MULTILINE)) >= set(Split)


def test_the_example_of_a_method_works(tmp_path):
    import torch
    from torch import nn

    from trainables.context import LocalContext
    from trainables.detector import Detector

    (tmp_path / "mean_shift.py").write_text(blocks(ROOT / "docs" / "methods.md", "python")[0])
    spec = importlib.util.spec_from_file_location("mean_shift", tmp_path / "mean_shift.py")
    member = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(member)

    torch.manual_seed(0)
    pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    parts = {"front": nn.Identity(), "body": pool, "head": nn.Linear(3, 2), "layers": {}}
    detector = Detector(**parts, feature_dim=3, min_size=1, classes=2)
    rng = np.random.default_rng(0)
    source, target = (images_of(rng.integers(low, low + 100, (20, 4, 4, 3), np.uint8)) for low in (0, 120))
    with torch.no_grad():
        before = detector(mean_image(source)).numpy()
        data = AdaptationData(source_train=source, source_val=source, target=target.without_labels())
        outcome = member.adapt(member.Config(), detector, data, LocalContext(folder=tmp_path))
        after = detector(mean_image(target)).numpy()

    np.testing.assert_allclose(after, before, atol=1e-5)
    assert outcome.metrics["moved"] > 0.1


def images_of(pixels: np.ndarray) -> Images:
    names = [str(number) for number in range(len(pixels))]
    return Images(pixels=pixels, labels=np.arange(len(pixels)) % 2, ids=names, generators=names)


def mean_image(images: Images) -> object:
    import torch

    return torch.tensor(images.pixels.mean(axis=0, keepdims=True) / 255).permute(0, 3, 1, 2).float()


@pytest.mark.slow
def test_the_ten_lines_of_python_run(tmp_path):
    (text,) = blocks(ROOT / "docs" / "python.md", "python")
    (tmp_path / "studies").mkdir()
    study = (ROOT / "studies" / "smoke.yaml").read_text()
    (tmp_path / "studies" / "smoke.yaml").write_text(study)
    script = tmp_path / "ten_lines.py"
    script.write_text(text)

    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert "source_only" in done.stdout
