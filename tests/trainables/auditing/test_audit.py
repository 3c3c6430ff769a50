"""The audit: sets that are biased on purpose are found out, and sets that are not are left in peace."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from tests.trainables.auditing.biased import EVEN, manifest_of, scene, write_biased
from tests.trainables.data.indexed import index_of, near, row, rows
from trainables.auditing import audit as module
from trainables.auditing.audit import FINDINGS_FILE, SCORES, Findings, audit
from trainables.auditing.copies import find_copies
from trainables.auditing.polarity import polarity, said_class
from trainables.auditing.shortcut import FEWEST, FOLDS, folds_of, leads, out_of_fold
from trainables.data.assemble import assemble
from trainables.data.choosing import Choosing
from trainables.data.preprocess import Preprocess, Random
from trainables.data.reader import Reader
from trainables.data.stack import Stack

EQUALISED = Preprocess(size=64, fit="crop", reencode="jpeg90")


@pytest.fixture(scope="module")
def biased(tmp_path_factory):
    """A hundred images of each class, told apart by their files alone."""
    return write_biased(tmp_path_factory.mktemp("biased") / "images", 100)


@pytest.fixture(scope="module")
def stored(biased):
    """The audit of the biased images as they are stored."""
    return audit(manifest_of(biased))


def through(root, cache, preprocess):
    manifest = manifest_of(root, preprocess)
    return audit(manifest, preprocess=preprocess, reader=Reader(manifest, preprocess, cache))


def bootstrap(scores, draws=400):
    """Ends of the 95 % interval of the AUROC, both classes resampled, as NumPy and scikit-learn have it."""
    rng = np.random.default_rng(0)
    classes = [np.flatnonzero(scores["label"] == label) for label in (0, 1)]
    found = []
    for _ in range(draws):
        drawn = scores.iloc[np.concatenate([rng.choice(rows, len(rows)) for rows in classes])]
        found.append(roc_auc_score(drawn["label"], drawn["score"]))
    return np.quantile(found, (0.025, 0.975))


def test_a_set_biased_on_purpose_is_found_out(stored):
    (shortcut,) = stored.findings.shortcuts

    assert shortcut.auroc > 0.95
    assert shortcut.flagged
    assert (shortcut.generator, shortcut.against, shortcut.fakes, shortcut.reals) == ("gan", ("camera",), 100, 100)
    words = [lead.words for lead in shortcut.leads if lead.auroc > 0.95]
    assert "format: real JPEG 100 %, fake PNG 100 %" in words
    assert "EXIF: real yes 100 %, fake no 100 %" in words
    assert "width: real 128, fake 64" in words
    assert "JPEG quality: real 90, fake none" in words


def test_the_figure_is_scikit_learns_on_the_returned_scores(stored):
    scores = stored.scores

    assert list(scores) == list(SCORES)
    assert len(scores) == 200
    assert set(scores["fold"]) == set(range(FOLDS))
    assert stored.findings.shortcuts[0].auroc == roc_auc_score(scores["label"], scores["score"])
    assert stored.metrics["shortcut_auroc/gan"] == stored.metrics["shortcut_auroc_max"]


def test_the_same_set_is_at_chance_once_the_preprocessing_has_made_it_equal(biased, tmp_path):
    """Cropping drops the size; re-encoding drops the file, and leaves both classes with one history of compression.

    Here that is so because the reals' own compression is of the same quality, on the same grid of blocks. Any other,
    stronger or milder, leaves traces in the pixels that no re-encoding takes away. They are still measured, by the
    bytes that the squares take and by their high-frequency energy, and rightly so: detectors see them too (next test).
    """
    found = through(biased, tmp_path, EQUALISED)
    low, high = bootstrap(found.scores)

    assert low < 0.5 < high
    assert found.findings.counted == ("bytes_per_pixel", "red", "green", "blue", "detail")
    assert "format" in found.findings.dropped


@pytest.mark.parametrize(
    ("remedy", "left"),
    [
        (Preprocess(size=64, fit="crop"), 0.95),
        (Preprocess(size=32, fit="resize", reencode="jpeg90"), 0.95),
        (Preprocess(size=64, fit="crop", reencode="jpeg96"), 0.6),
    ],
    ids=["cropped alone", "the size still counts", "milder than the reals' own compression"],
)
def test_half_a_remedy_is_none(biased, tmp_path, remedy, left):
    assert through(biased, tmp_path, remedy).findings.shortcuts[0].auroc > left


def test_several_views_of_an_image_are_one(biased, tmp_path):
    found = through(biased, tmp_path, Preprocess(size=32, patches=Random(count=3), reencode="jpeg90"))

    assert (found.findings.shortcuts[0].fakes, len(found.scores)) == (100, 200)


def test_an_unbiased_set_is_near_chance(small_data):
    """The benchmark's images differ in how they were made, and that alone."""
    found = audit(manifest_of(small_data))

    assert len(found.findings.shortcuts) == 4
    assert all(shortcut.auroc < 0.75 for shortcut in found.findings.shortcuts)
    assert np.mean([shortcut.auroc for shortcut in found.findings.shortcuts]) < 0.65


def test_the_audit_is_the_same_every_time_and_from_every_reader(biased, tmp_path):
    manifest = manifest_of(biased, EQUALISED)
    cached, streamed = (Reader(manifest, EQUALISED, tmp_path, budget) for budget in (1e9, 0))
    first, again = (audit(manifest, preprocess=EQUALISED, reader=reader) for reader in (cached, streamed))

    assert first.findings == again.findings
    pd.testing.assert_frame_equal(first.scores, again.scores)


def test_near_duplicates_stay_in_one_fold():
    labels, groups = np.repeat([0, 1], 60), pd.Series([f"scene {k // 3}" for k in range(120)])
    folds = folds_of(labels, groups)

    assert (pd.Series(folds).groupby(groups).nunique() == 1).all()
    assert all(set(labels[folds == fold]) == {0, 1} for fold in range(FOLDS))


def test_a_fact_that_only_marks_the_group_tells_nothing():
    """One colour a scene, and a scene in one class: only a division by groups sees that it says nothing of others."""
    rng = np.random.default_rng(0)
    scenes = np.repeat(rng.normal(size=40), 5)
    labels = np.repeat(rng.permutation(np.repeat([0, 1], 20)), 5)
    facts, groups = pd.DataFrame({"red": scenes}), pd.Series(np.repeat(np.arange(40), 5).astype(str))
    mixed = pd.Series(np.arange(200).astype(str))

    honest, leaking = (roc_auc_score(labels, out_of_fold(facts, labels, folds_of(labels, g))) for g in (groups, mixed))
    assert honest < 0.75
    assert leaking > 0.8


def test_a_lead_is_what_one_fact_tells_alone():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 100)
    number = rng.normal(size=200) - labels
    facts = pd.DataFrame({"width": number, "format": np.where(rng.random(200) < 0.2 + 0.6 * labels, "PNG", "JPEG")})
    found = {lead.fact: lead for lead in leads(facts, labels, folds_of(labels, pd.Series(range(200)).astype(str)))}

    assert found["width"].auroc == pytest.approx(1 - roc_auc_score(labels, number))
    assert found["format"].auroc == pytest.approx(roc_auc_score(labels, facts["format"] == "PNG"), abs=0.05)


def test_a_fact_that_few_images_have_is_told_as_none():
    labels = np.repeat([0, 1], 20)
    facts = pd.DataFrame({"quality": [85.0] * 20 + [60.0] + [np.nan] * 19})
    (lead,) = leads(facts, labels, folds_of(labels, pd.Series(range(40)).astype(str)))
    assert lead.words == "JPEG quality: real 85, fake none"


def test_inverted_labels_are_told(tmp_path):
    root = write_biased(tmp_path / "images", 4)
    manifest = manifest_of(root)
    inverted = replace(manifest, frame=manifest.frame.assign(label=1 - manifest.frame["label"]))

    assert not polarity(manifest.usable).inverted
    found = polarity(inverted.usable)
    assert found.inverted
    assert (found.told, found.against) == (8, 8)
    assert found.generators[0].examples[0].startswith("fake/")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("progan/airplane/0_real/a.png", 0),
        ("progan/1_fake/a.png", 1),
        ("stable_diffusion/imagenet_ai_0419_sdv4/train/nature/a.png", 0),
        ("stable_diffusion/imagenet_ai_0419_sdv4/train/ai/a.png", 1),
        ("train/REAL/0001.jpg", 0),
        ("training_fake/a.jpg", 1),
        ("gan_generated/stylegan/a.png", 1),
        ("fake/stylegan/ffhq/a.png", 1),
        ("fake/real-esrgan/a.png", 1),
        ("FFHQ/0/a.png", 0),
        ("stylegan2/a.png", 1),
        ("stylegan/ffhq/a.png", None),
        ("images/a.png", None),
        ("a_real_photo.png", None),
    ],
)
def test_folders_say_real_or_fake_or_nothing(path, said):
    assert said_class(path) == said


def test_what_the_images_are_like_is_told_for_every_generator(stored):
    real, fake = stored.findings.classes

    assert (real.generator, real.label, fake.generator, fake.label) == ("camera", 0, "gan", 1)
    assert (real.images, real.unusable, sum(real.splits.values())) == (100, 0, 100)
    assert real.shares["format"] == {"JPEG": 1.0}
    assert real.shares["exif"] == {"yes": 1.0}
    assert fake.quartiles["width"] == (64, 64, 64)
    assert "quality" not in fake.quartiles
    assert real.quartiles["quality"] == (90, 90, 90)


def test_copies_are_told_with_pictures_the_worst_first(tmp_path):
    root = write_biased(tmp_path / "images", 6)
    scene(0, 128, 96).save(root / "real/camera/again.png")  # nearly the same as 000.jpg
    shutil.copy(root / "real/camera/001.jpg", root / "real/camera/copy.jpg")
    scene(4, 128, 96).resize((64, 48)).save(root / "fake/gan/stolen.png")  # nearly the same as real 002.jpg
    found = audit(manifest_of(root))
    copies = found.findings.copies

    assert (copies.files, copies.equal, copies.near, copies.across, copies.linked) == (6, 1, 4, 2, 3)
    assert (copies.pairs[0].crosses, copies.pairs[0].kind) == ("class", "near")
    assert {copies.pairs[0].first, copies.pairs[0].second} == {"fake/gan/stolen.png", "real/camera/002.jpg"}
    assert all(pair.picture in found.pictures for pair in copies.pairs)
    files = found.save(tmp_path / "out")
    with Image.open(tmp_path / "out" / copies.pairs[0].picture) as picture:
        assert picture.width > picture.height
    assert files[0] == FINDINGS_FILE
    assert Findings.model_validate(json.loads((tmp_path / "out" / FINDINGS_FILE).read_text())) == found.findings


def test_unusable_files_are_told_with_reasons(tmp_path):
    root = write_biased(tmp_path / "images", 4)
    (root / "fake/gan/text.png").write_text("not an image")
    findings = audit(manifest_of(root)).findings

    assert [(each.path, each.why) for each in findings.left_out] == [("fake/gan/text.png", "not an image")]
    assert (findings.unusable, findings.classes[1].unusable) == (1, 1)


def test_too_few_images_give_words_and_no_figure(tmp_path):
    found = audit(manifest_of(write_biased(tmp_path / "images", 3)))

    assert found.findings.shortcuts[0].auroc is None
    assert found.findings.shortcuts[0].reason == f"only 3 real images: at least {FEWEST} are needed"
    assert found.scores.empty
    assert "shortcut_auroc_max" not in found.metrics


@pytest.mark.parametrize(("label", "shortcuts"), [(0, []), (1, ["no real images: at least 20 are needed"])])
def test_one_class_alone_gives_words_and_no_figure(biased, label, shortcuts):
    manifest = manifest_of(biased)
    found = audit(replace(manifest, frame=manifest.frame[manifest.frame["label"] == label]))

    assert [shortcut.reason for shortcut in found.findings.shortcuts] == shortcuts
    assert len(found.findings.classes) == 1


def test_images_of_too_few_scenes_give_no_figure(biased):
    manifest = manifest_of(biased)
    of_one = manifest.frame["group"].mask(manifest.frame["label"] == 1, "one person")
    (shortcut,) = audit(replace(manifest, frame=manifest.frame.assign(group=of_one))).findings.shortcuts

    assert shortcut.reason == f"too few groups of fake images (scenes, persons): 1, and at least {FOLDS} are needed"


def images_of(**known):
    """The manifest of images that do not exist, all in one split, with other values of some columns."""
    known = {"real": rows("real/camera", 30), "fake": rows("fake/gan", 30), **known}
    images = [image for each in known.values() for image in each]
    return assemble([(index_of(images), Choosing())], EVEN, complete=False)


def test_copies_are_counted_by_files_and_flat_images_are_among_them():
    flat = [row(f"{name}/flat.png", shows="flat", perceptual="") for name in ("real/camera", "fake/gan", "fake/other")]
    first = row("fake/gan/first.png")
    star = [first, near(first, "fake/gan/a.png"), row("fake/gan/again.png", shows="fake/gan/first.png")]
    copies, _ = find_copies(images_of(flat=flat, star=star))

    assert (copies.files, copies.equal, copies.near, copies.across) == (6, 3, 3, 3)
    assert {pair.crosses for pair in copies.pairs if "flat" in pair.first} == {"class", "generator"}
    assert [pair.kind for pair in copies.pairs].count("equal") == 3


def test_the_figures_follow_from_the_definition_of_a_copy():
    """Every file against every other."""
    first = row("fake/gan/first.png")
    twins = [row(f"fake/gan/twin{k}.png", shows="fake/gan/first.png") for k in range(3)]
    close = [near(first, f"real/camera/near{k}.png") for k in range(2)]
    manifest = images_of(more=[first, *twins, *close])
    seen = list(zip(manifest.frame["pixels"], manifest.frame["perceptual"], strict=True))
    nearly = [
        any(mine != other and (int(a, 16) ^ int(b, 16)).bit_count() <= 3 for other, b in seen) for mine, a in seen
    ]
    copies, _ = find_copies(manifest)

    assert copies.near == sum(nearly) == 6
    assert copies.across == copies.files == 6


def test_metrics_of_generators_whose_names_become_the_same_are_kept_apart(stored):
    (shortcut,) = stored.findings.shortcuts
    several = [shortcut.model_copy(update={"generator": name}) for name in ("a/b", "a b", "a_b", "a:b", "a_b_2")]
    found = replace(stored, findings=stored.findings.model_copy(update={"shortcuts": tuple(several)})).metrics
    names = [name.partition("/")[2] for name in found if name.startswith("shortcut_auroc/")]

    assert names == ["a_b", "a b", "a_b_2", "a_b_3", "a_b_2_2"]


def test_scores_name_the_groups_that_their_intervals_are_of(biased):
    manifest = manifest_of(biased)
    scores = audit(manifest).scores
    groups = manifest.usable.set_index("digest")["group"]
    assert (scores["group"].to_numpy() == groups[scores["image"]].to_numpy()).all()
    assert (scores.groupby("group")["fold"].nunique() == 1).all()


def test_the_largest_group_is_told_of_every_generator():
    scenes = rows("fake/scenes", 12)
    for image in scenes[:7]:
        image["group"] = "one scene"
    facts = {each.generator: each.largest_group for each in audit(images_of(scenes=scenes)).findings.classes}
    assert facts == {"camera": 1, "gan": 1, "scenes": 7}


def test_images_are_read_as_many_at_once_as_their_bytes_allow(biased, tmp_path, monkeypatch):
    preprocess = Preprocess(size=16)
    expected = through(biased, tmp_path, preprocess)
    monkeypatch.setattr(module, "_AT_ONCE", 1)
    asked = []
    get = Stack.__getitem__
    monkeypatch.setattr(Stack, "__getitem__", lambda self, index: asked.append(len(index)) or get(self, index))
    pd.testing.assert_frame_equal(through(biased, tmp_path, preprocess).scores, expected.scores)
    assert set(asked) == {1}
