"""The data audit in a report: from its cell's files alone, beside the detectors' figures, or a hole with a reason."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from orchestrator.plan.cells import Cell, Stage, Tags
from orchestrator.store.tables import AUDITS, ROWS_FILE, write_rows
from reports.audit import audit_part, shortcut_frame, write_audit
from reports.page import build_report
from reports.statistics import Resampler
from tests.reports.synthetic import Store
from tests.reports.test_page import Outline, build, words
from trainables.auditing.audit import Audit, ClassFacts, Findings, Unusable
from trainables.auditing.copies import Copies, Pair
from trainables.auditing.polarity import Polarity, PolarityOf
from trainables.auditing.shortcut import Lead, Shortcut
from trainables.auditing.trivial import FACTS
from trainables.contract import Split

PICTURE = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8ffff3f0005fe02fe0def46b8"
    "0000000049454e44ae426082"
)
FORMAT = Lead(fact="format", auroc=0.98, words="format: real JPEG 100 %, fake PNG 97 %")
MARGINS = {"tconv": 3.0, "nearest": 0.0, "bilinear": -0.3}


SHOWN = ("tconv", "nearest", "latent8")


@pytest.fixture
def store(make_store: Callable[..., Store]) -> Store:
    """A small finished study, without an audit."""
    return make_store(generators=SHOWN, methods=("recalibrate",), corruptions=(), images=20)


def scores_of(generator: str, margin: float, images: int = 50) -> pd.DataFrame:
    rng = np.random.default_rng(len(generator))
    labels = np.repeat([0, 1], images)
    names = [f"real{k}" for k in range(images)] + [f"{generator}{k}" for k in range(images)]
    scores = 1 / (1 + np.exp(-rng.normal(size=2 * images) - margin * labels))
    own = np.where(labels == 1, generator, "camera_a")
    table = {"image": names, "label": labels, "generator": own, "group": names, "against": generator, "fold": 0}
    return pd.DataFrame(table | {"score": scores})


def made(**changes: object) -> Audit:
    """An audit of three generators, and of a fourth that has too few images."""
    tables = [scores_of(name, margin) for name, margin in MARGINS.items()]
    shortcuts = [
        Shortcut(
            generator=name,
            against=("camera_a",),
            fakes=50,
            reals=50,
            auroc=float(roc_auc_score(table["label"], table["score"])),
            leads=(FORMAT,) if name == "tconv" else (Lead(fact="red", auroc=0.52, words="mean red: real 1, fake 2"),),
        )
        for (name, _), table in zip(MARGINS.items(), tables, strict=True)
    ]
    few = Shortcut(generator="latent8", against=("camera_a",), fakes=3, reals=50, reason="only 3 fake images")
    known = {
        "images": 203,
        "preprocessed": True,
        "counted": FACTS,
        "dropped": (),
        "classes": (class_facts("camera_a", 0), class_facts("tconv", 1)),
        "shortcuts": (*shortcuts, few),
        "copies": Copies(),
        "polarity": Polarity(),
        "unusable": 0,
        "left_out": (),
    }
    return Audit(
        Findings.model_validate(known | changes), pd.concat(tables, ignore_index=True), {"copies_00.png": PICTURE}
    )


def class_facts(generator: str, label: int) -> ClassFacts:
    return ClassFacts(
        generator=generator,
        family="gan" if label else "real",
        label=label,
        images=50,
        unusable=label,
        splits={split.value: 10 for split in Split},
        shares={name: {"JPEG": 0.9, "PNG": 0.1} for name in ("format", "mode", "chroma", "exif")},
        quartiles={"width": (64, 128, 256), "bytes_per_pixel": (0.5, 0.75, 1.25)},
    )


def add_audit(store: Store, audit: Audit | None = None) -> Cell:
    """File an audit cell as done, its files in its folder."""
    tags = Tags(detector="", source="", target="", adaptation="", seed=0)
    cell = Cell(stage=Stage.AUDIT, method="shortcut", params={"against": {}}, tags=tags)
    audit = audit or made()
    folder = store.artifacts.folder(cell.id)
    files = [*audit.save(folder), ROWS_FILE]
    write_rows(folder / ROWS_FILE, audit.scores.to_dict("records"), AUDITS)
    return store.add(cell, files=files, metrics=audit.metrics, images=203)


def part_of(audit: Audit):
    return audit_part(audit.findings, audit.scores, audit.pictures, Resampler(draws=500))


def test_the_intervals_are_of_scikit_learns_auroc() -> None:
    frame = shortcut_frame(part_of(made())).set_index("generator")

    for name, margin in MARGINS.items():
        scores = scores_of(name, margin)
        assert frame.loc[name, "auroc"] == pytest.approx(roc_auc_score(scores["label"], scores["score"]))
        assert frame.loc[name, "auroc_low"] < frame.loc[name, "auroc"] < frame.loc[name, "auroc_high"]
    assert frame["flagged"].tolist() == [True, False, False, False]
    assert np.isnan(frame.loc["latent8", "auroc"])
    assert frame.loc["latent8", "reason"] == "only 3 fake images"
    assert frame.loc["tconv", "lead_1"] == FORMAT.words
    assert frame["lead_1"].isna().tolist() == [False, True, True, True]  # of those that tell nothing none is named


def test_the_audit_has_no_place_in_the_grid(store: Store, tmp_path: Path) -> None:
    before = build(store, tmp_path / "before")
    add_audit(store)
    after = build(store, tmp_path / "after")

    for name in ("gains.csv", "summary.csv", "matrix_residual_cnn_recalibrate_auroc.csv"):
        old, new = (
            pd.read_csv(page.html.with_name(name)).drop(columns="plan", errors="ignore") for page in (before, after)
        )
        pd.testing.assert_frame_equal(old, new)
    costs = pd.read_csv(after.html.with_name("costs.csv"))
    assert costs[costs["stage"] == "audit"][["method", "cells", "done"]].to_numpy().tolist() == [["shortcut", 1, 1]]


def test_the_shortcut_baseline_stands_beside_the_detectors_figures(store: Store, tmp_path: Path) -> None:
    add_audit(store)
    page = build(store, tmp_path).html
    text = page.read_text("utf-8")
    rows = re.findall(r'<tr class="apart"><th scope="row">shortcut</th>(.*?)</tr>', text, re.DOTALL)

    assert len(rows) == 2  # below every matrix of AUROCs
    cells = dict(zip(SHOWN, re.findall(r'<td class="([^"]*)" title="([^"]*)"', rows[0]), strict=True))
    assert cells["tconv"][0].split() == ["value", "flagged"]
    assert FORMAT.words in cells["tconv"][1]
    assert cells["nearest"][0] == "value"
    assert cells["latent8"] == ("pending", "only 3 fake images")
    assert "shortcut baseline 2 of 3 test generators" in words(page)
    assert "Trivial facts alone tell tconv from its real images" in words(page)


def test_the_page_stays_whole(store: Store, tmp_path: Path) -> None:
    add_audit(store, made(copies=COPIES, unusable=1, left_out=(Unusable(path="<b>.png", generator="tconv", why="no"),)))
    page = build(store, tmp_path).html
    outline = Outline(page.read_text("utf-8"))

    assert outline.open == []
    assert "audit" in outline.ids
    assert len(set(outline.ids)) == len(outline.ids)
    assert all(ref.startswith(("#", "data:")) for ref in outline.references)
    assert "&lt;b&gt;.png" in page.read_text("utf-8")


@pytest.mark.parametrize(
    ("befalls", "told"),
    [
        ("nothing", "This plan has no audit."),
        ("not run", "The audit has not run yet."),
        ("failed", "The audit failed: loss is <nan>."),
        ("files lost", "The files of the audit are no longer in the store."),
    ],
)
def test_a_hole_says_why(store: Store, tmp_path: Path, befalls: str, told: str) -> None:
    if befalls != "nothing":
        cell = add_audit(store)
    if befalls == "not run":
        store.drop([cell])
    elif befalls == "failed":
        store.fail(cell)
    elif befalls == "files lost":
        (store.artifacts.folder(cell.id) / "audit.json").unlink()
    page = build(store, tmp_path).html.read_text("utf-8")

    assert told.replace("<", "&lt;").replace(">", "&gt;") in page
    assert 'class="apart"' not in page
    assert ">shortcut baseline</th>" not in page


COPIES = Copies(
    files=4,
    equal=1,
    near=2,
    across=2,
    linked=2,
    pairs=(
        Pair(
            **{"kind": "near", "first": "fake/a.png", "second": "real/b.png", "of": ("tconv, test", "camera_a, test")},
            **{"crosses": "class", "picture": "copies_00.png"},
        ),
        Pair(kind="equal", first="real/b.png", second="real/c.png", of=("camera_a, test", "camera_a, test")),
    ),
)


def test_copies_are_shown_with_what_divides_them(tmp_path: Path) -> None:
    files = write_audit(part_of(made(copies=COPIES)), "mine", tmp_path / "mine.html")
    said = words(files[0])

    assert "2 files show what a file of another class, generator or split shows" in said
    assert "Files with the pixels of an earlier one: 1. Files that have a near copy: 2." in said
    assert "nearly the same, two classes fake/a.png (tconv, test) real/b.png" in said
    assert files[0].read_text().count("data:image/png;base64,") == 1
    assert len(pd.read_csv(tmp_path / "mine.copies.csv")) == 2


def test_inverted_labels_are_the_first_warning() -> None:
    wrong = PolarityOf(generator="tconv", label=1, told=50, against=50, examples=("set/0_real/a.png",))
    right = PolarityOf(generator="nearest", label=1, told=10, against=0)
    part = part_of(made(polarity=Polarity(generators=(wrong, right))))
    mostly_right = part_of(made(polarity=Polarity(generators=(wrong, right.model_copy(update={"told": 90})))))

    assert part.warnings[0].startswith("The labels look inverted. Of 60 images whose folders say real or fake, 50 are")
    assert "set/0_real/a.png, declared fake" in part.warnings[0]
    assert mostly_right.warnings[0].startswith("The folders of these say the other class than their labels: tconv")


def test_a_flag_whose_interval_holds_chance_says_so() -> None:
    audit = made()
    few = pd.concat([part.groupby("label").head(6) for _, part in audit.scores.groupby("against")])
    shortcuts = tuple(s.model_copy(update={"auroc": 0.62}) for s in audit.findings.shortcuts[1:2])
    findings = audit.findings.model_copy(update={"shortcuts": shortcuts})
    (warning,) = audit_part(findings, few, {}, Resampler(draws=500)).warnings

    assert "it may be chance" in warning


def test_the_remedy_is_named_while_there_is_one() -> None:
    assert any("`reencode: jpeg96`" in note and "`fit: crop`" in note for note in part_of(made()).notes)
    equal = made(counted=("bytes_per_pixel", "red"), dropped=("format", "width"))
    assert not any("`reencode" in note for note in part_of(equal).notes)
    assert any("The preprocessing makes these equal" in note for note in part_of(equal).notes)


def test_the_same_store_gives_the_same_page(store: Store, tmp_path: Path) -> None:
    add_audit(store, made(copies=COPIES))
    first, again = (
        build_report(store.study, store.cells, store.records, store.artifacts, tmp_path / name) for name in ("1", "2")
    )

    assert [path.read_bytes() for path in first.files()] == [path.read_bytes() for path in again.files()]


def test_many_flagged_generators_share_a_warning() -> None:
    audit = made()
    bad = [audit.findings.shortcuts[0].model_copy(update={"generator": f"gan{k}"}) for k in range(5)]
    (warning,) = part_of(made(shortcuts=bad)).warnings

    assert warning.startswith("Trivial facts alone tell 5 of 5 generators from their real images")


@pytest.mark.parametrize(("share", "codec"), [(0.9, "jpeg85"), (0.1, "jpeg96")])
def test_the_codec_that_is_advised_is_of_those_whose_images_are_mostly_jpeg(share: float, codec: str) -> None:
    real = class_facts("camera_a", 0).model_copy(
        update={
            "shares": {"format": {"JPEG": share, "PNG": 1 - share}},
            "quartiles": {"quality": (85, 85, 85)},
        }
    )
    assert any(f"`reencode: {codec}`" in note for note in part_of(made(classes=(real,))).notes)


def test_overlap_is_a_warning_of_a_folder_and_a_note_of_a_study_that_drops_it() -> None:
    of_study, of_folder = (part_of(made(overlap=2, preprocessed=studied)) for studied in (True, False))
    assert not any("2 show what images of other splits show" in each for each in of_study.warnings)
    assert any("2 show what images of other splits show" in each for each in of_study.notes)
    assert any("2 show what images of other splits show" in each for each in of_folder.warnings)


def test_a_group_that_holds_much_of_a_generator_is_told() -> None:
    small, large = (class_facts("tconv", 1).model_copy(update={"largest_group": size}) for size in (10, 11))
    told = "11 of the 50 images of tconv are one group"
    assert any(told in note for note in part_of(made(classes=(large,))).notes)
    assert not any("are one group" in note for note in part_of(made(classes=(small,))).notes)
