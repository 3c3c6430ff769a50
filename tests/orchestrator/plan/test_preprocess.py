"""The cells of a detector that sees images in a way of its own, beside those of one that does not."""

from __future__ import annotations

import pytest

from orchestrator.plan.cells import Stage
from orchestrator.plan.expand import expand
from trainables.detector import build_detector
from trainables.errors import InputError

OWN = {"size": 32, "fit": "resize"}
RESIZED = {"kind": "residual_cnn", "name": "resized", "preprocess": OWN}
EVERYTHING = {
    "adaptations": ["coral", "oracle"],
    "corruptions": ["jpeg"],
    "attacks": ["pgd"],
    "analyses": ["gradcam"],
    "selection": ["im", "source_val"],
    "test_generators": ["tconv", "nearest"],
    "sequences": [{"generators": ["tconv", "nearest"], "methods": ["naive", "replay"]}],
}
FULL = {"size": 32, "fit": "resize", "filter": "bicubic", "shorter": None, "patches": None, "reencode": None}


def of(plan, detector):
    return [cell for cell in plan if cell.tags.detector == detector]


def test_all_that_comes_of_it_sees_images_as_it_does(make_study, catalogue):
    cells = of(expand(make_study(detectors=["residual_cnn", RESIZED], **EVERYTHING), catalogue), "resized")
    assert {cell.stage for cell in cells} == set(Stage) - {Stage.AUDIT, Stage.TUNE}
    assert all(cell.params["image"] == FULL for cell in cells)


def test_the_others_and_the_audit_keep_their_ids(make_study, catalogue):
    alone = expand(make_study(**EVERYTHING), catalogue)
    both = expand(make_study(detectors=["residual_cnn", RESIZED], **EVERYTHING), catalogue)
    assert [cell.id for cell in both if cell.tags.detector != "resized"] == list(alone.cells)
    assert not {cell.id for cell in of(both, "resized")} & set(alone.cells)


def test_its_cells_are_those_of_a_study_that_is_all_of_its_way(make_study, catalogue):
    own = of(expand(make_study(detectors=[RESIZED], **EVERYTHING), catalogue), "resized")
    whole = expand(make_study(detectors=["residual_cnn"], preprocess=OWN, **EVERYTHING), catalogue)
    assert [cell.id for cell in own] == [cell.id for cell in whole if cell.stage is not Stage.AUDIT]


def test_one_that_is_the_studys_changes_no_id(make_study, catalogue):
    same = {"kind": "residual_cnn", "preprocess": {"size": 64, "fit": "crop"}}
    written, left_out = (
        expand(make_study(detectors=[each], **EVERYTHING), catalogue) for each in (same, "residual_cnn")
    )
    assert list(written.cells) == list(left_out.cells)


def test_a_search_is_of_its_way(make_study, catalogue):
    study = make_study(detectors=[{**RESIZED, "tuning": {"trials": 3}}], adaptations=["coral"], tuning={"trials": 2})
    plan = expand(study, catalogue)
    searches = [cell.params["of"] for cell in plan if cell.stage is Stage.TUNE]
    assert len(searches) == 2 + 4  # of each source, and of each pair
    assert all(of["image"] == FULL for of in searches)
    assert all(cell.params["image"] == FULL for cell in of(plan, "resized") if cell.stage is not Stage.TUNE)


def test_the_specialists_of_a_fusion_see_images_as_it_does(make_study, catalogue):
    fusion, both = {"kind": "dfx", "preprocess": OWN}, {"generators": ["tconv", "bilinear"]}
    cells = of(expand(make_study(detectors=[fusion], train_generators=[both]), catalogue), "dfx")
    assert {cell.tags.variant for cell in cells if cell.stage is Stage.TRAIN} == {"gan", "dm", "real", ""}
    assert all(cell.params["image"] == FULL for cell in cells)


def test_scores_from_outside_stay_what_they_are(make_study, catalogue, tmp_path):
    (tmp_path / "scores.csv").write_text("image,score\na.png,0.25\nb.png,0.75\n")
    vendor = {"kind": "scores", "name": "vendor", "file": str(tmp_path / "scores.csv")}
    beside, with_own = (expand(make_study(detectors=[vendor, each]), catalogue) for each in ("residual_cnn", RESIZED))
    assert of(with_own, "vendor") == of(beside, "vendor") != []


@pytest.mark.parametrize(
    ("network", "least"),
    [
        ({"kind": "frozen", "architecture": "vgg16"}, 32),
        ({"kind": "resnet18", "stem_stride": 1}, 8),
        ({"kind": "efficientnet_v2_s"}, 33),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "",
)
def test_a_network_takes_no_smaller_squares_than_it_can(make_study, catalogue, network, least):
    def planned(size, **study):
        return expand(make_study(detectors=["npr", {**network, "preprocess": {"size": size}}], **study), catalogue)

    (choice,) = make_study(detectors=[network]).detectors
    assert build_detector(choice.kind, choice.config, seed=0).min_size == least
    assert planned(least, preprocess={"size": 16})
    if least > 8:  # what any square has
        with pytest.raises(InputError, match=rf"^detectors.1.preprocess.size: .* less than {least} pixels a side"):
            planned(least - 1)


def test_where_the_study_says_the_size_a_detector_can_have_its_own(make_study, catalogue):
    with pytest.raises(
        InputError, match=r"(?s)^preprocess.size: resnet18 takes .* or give this detector a `preprocess` of"
    ):
        expand(make_study(detectors=["npr", "resnet18"], preprocess={"size": 31}), catalogue)
