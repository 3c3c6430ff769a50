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

from orchestrator.cli import Room
from orchestrator.images import StudyImages
from orchestrator.plan.catalogue import Catalogue
from orchestrator.plan.cells import Stage
from orchestrator.plan.expand import expand
from orchestrator.plan.graph import Plan
from orchestrator.study.generators import GeneratorSequence, SourceGroup
from orchestrator.study.load import load_study
from orchestrator.study.model import Cache, DataFolder, Study, Tracking, Trials
from orchestrator.study.resources import Resources
from orchestrator.study.tuning import Interval, Tuning
from trainables.contract import AdaptationData, Images, Split
from trainables.data.preprocess import Preprocess
from trainables.data.sets import ImageSet
from trainables.data.splits import Fractions
from trainables.recipe import Recipe
from trainables.registry import ADAPTATIONS, DETECTORS, SELECTIONS
from trainables.selection.epoch import Answers, Epoch

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
DOCS, STUDIES = ROOT / "docs", sorted((ROOT / "studies").glob("*.yaml"))
README, STUDY_PAGE, TUNING_PAGE = ROOT / "README.md", DOCS / "study.md", DOCS / "tuning.md"
STUDY_MODELS = [
    *(Study, DataFolder, SourceGroup, GeneratorSequence, Preprocess, Recipe, Resources, Cache, Tracking, Trials)
]
TRAINED = {name: entry for name, entry in DETECTORS.items() if "outside" not in entry.traits}
"""The detectors that a study trains; others are known by their scores alone."""
NEEDS_WEIGHTS = {"clip_linear", "clip_knn", "clip_svm"}


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


def test_the_readme_names_everything_that_can_be_listed():
    (row,) = re.findall(r"^\| `orchestrator list .*$", README.read_text(), re.MULTILINE)

    assert {*re.findall(r"`([a-z]+)`", row), "detectors"} == set(Room)


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


MINIMAL = {"name": "some", "data": {"root": "."}, "detectors": ["residual_cnn"], "train_generators": "all"}
SNIPPETS = [(page, number) for page in PAGES for number in range(len(blocks(page, "yaml")))]


@pytest.mark.parametrize(("page", "number"), SNIPPETS, ids=lambda value: getattr(value, "stem", value))
def test_every_snippet_is_a_study_or_part_of_one(page, number, tmp_path):
    snippet = blocks(page, "yaml")[number]
    given = yaml.safe_load(snippet)
    rest = {} if "name" in given else {key: MINIMAL[key] for key in MINIMAL.keys() - given.keys()}
    (tmp_path / "study.yaml").write_text(snippet + (yaml.safe_dump(rest) if rest else ""))

    assert load_study(tmp_path / "study.yaml").name == {**given, **rest}["name"]


def plan_of(study: Path, folder: Path) -> Plan:
    """The plan of a shipped study before its benchmark is made."""
    (folder / "studies").mkdir()
    copy = folder / "studies" / study.name
    copy.write_text(study.read_text())
    found = load_study(copy)
    return expand(found, StudyImages(found, folder / "indexes").catalogue)


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.stem)
def test_every_study_can_be_planned_and_is_in_the_readme(study, tmp_path):
    plan = plan_of(study, tmp_path)

    assert plan.study == study.stem
    assert f"(studies/{study.name})" in README.read_text()
    commands = re.findall(r"orchestrator [a-z]+ (studies/\S+)", study.read_text())
    assert commands
    assert set(commands) == {f"studies/{study.name}"}
    assert all((ROOT / name).exists() for name in re.findall(r"(?:docs|studies)/[a-z]+\.[a-z]+", study.read_text()))


def test_the_study_of_combinations_has_each_beside_its_parts():
    study = load_study(ROOT / "studies" / "combinations.yaml")
    composed = [choice.config for choice in study.adaptations if choice.kind == "compose"]
    names = {choice.name for choice in study.adaptations}
    wrappers = {"sdat", "jreg", "rada"}  # they change another method's training, and are none by themselves

    assert {part.kind for config in composed for part in config.parts} - wrappers <= names
    assert len(composed) == 14


def test_the_study_of_tuning_gives_every_method_and_the_control_one_budget():
    study = load_study(ROOT / "studies" / "tuning.yaml")
    tunings = [study.tuning_of(choice) for choice in (*study.detectors, *study.adaptations)]
    budgets = {(tuning.trials, tuning.scheduler, tuning.sampler) for tuning in tunings if tuning}

    assert [choice.name for choice in study.adaptations if study.tuning_of(choice)] == [
        *("source_longer", "coral", "dann", "mcc")
    ]
    assert budgets == {(10, "asha", "tpe")}


def test_the_study_of_detectors_has_every_one_that_learns_from_one_generator_without_published_weights():
    study = load_study(ROOT / "studies" / "detectors.yaml")
    fused = {name for name, entry in TRAINED.items() if "fused" in entry.traits}

    assert {choice.kind for choice in study.detectors} == set(TRAINED) - fused - NEEDS_WEIGHTS
    assert [choice.name for choice in study.adaptations] == ["source_only"]
    assert [choice.name for choice in study.detectors if getattr(choice.config, "weights", None)] == []


def test_the_study_of_sequences_learns_every_generator_and_asks_all_methods(tmp_path):
    plan = plan_of(ROOT / "studies" / "continual.yaml", tmp_path)
    learnt = {(cell.tags.sequence, cell.tags.adaptation) for cell in plan if cell.stage is Stage.ADAPT}
    continual = {name for name, entry in ADAPTATIONS.items() if "continual" in entry.traits}

    assert learnt == {(order, method) for order in ("history", "reversed") for method in continual}
    assert plan.stages()[Stage.ADAPT] == 3 * len(learnt)


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
    ("page", "models"),
    [
        (STUDY_PAGE, STUDY_MODELS),
        (TUNING_PAGE, [Tuning, Interval]),
    ],
    ids=lambda value: getattr(value, "stem", ""),
)
def test_the_pages_explain_every_key(page, models):
    sections = {"data", "preprocess", "resources", "cache", "tracking", "trials"}
    keys = re.findall(r"^\| (`[a-z_.]+`(?:, `[a-z_]+`)*) \|", page.read_text(), re.MULTILINE)
    rows = {key.removeprefix("tracking.").removeprefix("cache.").removeprefix("trials.") for key in listed(keys)}

    assert {key for model in models for key in model.model_fields} - rows - sections == set()


def listed(cells: list[str]) -> set[str]:
    """The words in code in some cells of tables."""
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def test_the_page_on_selection_tells_of_every_rule_what_it_looks_at_and_when_it_fails():
    page = (DOCS / "selection.md").read_text()
    looks, fails = (page.partition(title)[2].partition("\n## ")[0] for title in ("## The rules", "## When a rule is"))
    first_cells = [re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE) for table in (looks, fails)]

    assert listed(first_cells[0]) == set(SELECTIONS)
    assert listed(first_cells[1]) == set(SELECTIONS) - {"oracle"}


def test_the_page_on_detectors_tells_of_every_one_what_it_looks_at_and_when_it_fails():
    page = (DOCS / "detectors.md").read_text()
    looks, fails = (page.partition(title)[2].partition("\n## ")[0] for title in ("## Which there are", "## When a"))
    first_cells = [re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE) for table in (looks, fails)]

    assert [listed(cells) for cells in first_cells] == [set(TRAINED)] * 2


def test_the_page_on_detectors_says_which_of_them_want_weights():
    page = (DOCS / "detectors.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| [^|]*\| (no|better|must) \|", page, re.MULTILINE))
    wanting = {name for name, answer in rows.items() if answer != "no"}
    taking = {name for name, entry in TRAINED.items() if "weights" in entry.traits}

    assert set(rows) == set(TRAINED)
    assert wanting == taking - {"fft_real", "fft_logmag"}  # of spectra: what photographs have taught is of little use
    assert {name for name, answer in rows.items() if answer == "must"} == NEEDS_WEIGHTS


def test_the_page_on_methods_names_every_way_of_training_a_detector():
    page = (DOCS / "methods.md").read_text()
    table = listed(re.findall(r"^\| (`[a-z]+`) \| `[a-z_]+\(config", page, re.MULTILINE))

    assert table == {trait for entry in DETECTORS.values() for trait in entry.traits} - {"weights"}


def test_the_example_of_light_and_perspective_runs(capsys):
    exec(blocks(DOCS / "detectors.md", "python")[0], {})

    assert capsys.readouterr().out == "[500.  50.] True\n"


def test_the_page_on_adaptation_names_every_method():
    assert set(ADAPTATIONS) - listed([(DOCS / "adaptation.md").read_text()]) - {"compose"} == set()


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


def test_the_example_of_a_rule_works(tmp_path):
    (tmp_path / "certainty.py").write_text(blocks(DOCS / "selection.md", "python")[0])
    spec = importlib.util.spec_from_file_location("certainty", tmp_path / "certainty.py")
    member = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(member)

    def figure(*log_odds: float) -> float:
        answers = Answers(log_odds=np.array(log_odds), features=np.empty((len(log_odds), 0), np.float32))
        return member.value(Epoch(source=answers, target=answers))

    assert figure(0, 0) == 0.5
    assert figure(np.log(3), -np.log(3)) == pytest.approx(0.75)
    assert np.isnan(figure())


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
