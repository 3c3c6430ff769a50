"""Detectors that see images in ways of their own: what a study may say of it, and what it means."""

from __future__ import annotations

import pytest

from orchestrator.study.load import dump_study, load_study
from trainables.data.preprocess import Grid, Preprocess

STUDYS = {"size": 48, "fit": "resize_crop", "shorter": 56, "reencode": "jpeg90"}
OWN = {"size": 32, "patches": "grid"}


def test_it_replaces_the_studys_wholly(write):
    study = load_study(write(preprocess=STUDYS, detectors=["npr", {"kind": "frozen", "preprocess": OWN}]))
    seen = [study.preprocess_of(detector) for detector in study.detectors]
    assert seen == [Preprocess.model_validate(STUDYS), Preprocess(size=32, patches=Grid())]


def test_every_way_is_there_once_under_the_first_that_has_it(write):
    detectors = [
        {"kind": "npr", "preprocess": OWN},
        {"kind": "srm", "preprocess": OWN},
        {"kind": "frozen", "preprocess": STUDYS},
        "dct",
    ]
    study = load_study(write(preprocess=STUDYS, detectors=detectors))
    assert list(study.preprocesses.items()) == [
        ("", Preprocess.model_validate(STUDYS)),
        ("npr", Preprocess.model_validate(OWN)),
    ]


def test_it_is_kept_with_the_study(write):
    study = load_study(write(detectors=["npr", {"kind": "frozen", "preprocess": OWN}]))
    assert load_study(write(dump_study(study))) == study


def test_variants_that_differ_in_it_alone_are_two_detectors_with_two_names(write, refusal):
    variants = ["npr", {"kind": "npr", "name": "tiles", "preprocess": OWN}]
    assert [each.name for each in load_study(write(detectors=variants)).detectors] == ["npr", "tiles"]

    message = refusal(detectors=["npr", {"kind": "npr", "preprocess": OWN}])
    assert ": detectors.1.name: two have this name" in message
    assert "give one of them another `name:`" in message


def test_one_that_is_the_studys_makes_no_other_detector(refusal):
    message = refusal(preprocess=STUDYS, detectors=["npr", {"kind": "npr", "name": "again", "preprocess": STUDYS}])
    assert "detectors.1: the same parameters as 'npr'" in message


@pytest.mark.parametrize(
    ("detector", "place", "words"),
    [
        ({"kind": "npr", "preprocess": {"fit": "crp"}}, "preprocess.fit", ["not one of the choices", "'crop'"]),
        ({"kind": "npr", "preprocess": {"sise": 32}}, "preprocess.sise", ["unknown key", "'size'"]),
        ({"kind": "npr", "preprocess": {"size": 4}}, "preprocess.size", ["greater than or equal to 8", "found: 4"]),
        ({"kind": "npr", "preprocess": {"shorter": 80}}, "preprocess", ["has no shorter side"]),
        ({"kind": "npr", "preprocess": 32}, "preprocess", ["mapping of keys to values", "its keys are size, fit"]),
        ({"kind": "npr", "size": 32}, "size", ["unknown key", "under `preprocess`"]),
        (
            {"kind": "scores", "file": "scores.csv", "preprocess": OWN},
            "preprocess",
            ["shown no image", "'scores'", "delete `preprocess:`"],
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_mistake_is_told_where_it_is(refusal, detector, place, words):
    message = refusal(detectors=["srm", detector])
    assert f": detectors.1.{place}: " in message
    for word in words:
        assert word in message


def test_methods_that_adapt_a_detector_have_none_of_their_own(refusal):
    message = refusal(adaptations=[{"kind": "coral", "preprocess": OWN}])
    assert "adaptations.0.preprocess: unknown key" in message
