import math

import pytest

from trainables.errors import InputError
from trainables.indexing.labelling import Labelled, Polarity, labelled_image, part_of, plain, published_part_of


def _labels(written, **meaning):
    polarity = Polarity(Labelled(**meaning))
    labels = [polarity.label(each) for each in written]
    polarity.finish()
    return labels


@pytest.mark.parametrize(
    ("written", "meaning"),
    [
        ([0, 1, "1", 1.0, "1.0", True, "false"], {}),
        ([1, 0, "0", 0.0, "0.0", False, "True"], {"fake_is": 0}),
        (["REAL", "FAKE", "fake", " Fake", "fake ", "FAKE", "real"], {"fake_is": "FAKE"}),
        (["camera", "sd", "SD", "sd", "sd", "sd", "camera"], {"fake_is": "sd"}),
        ([-1, 1, 1, 1, 1, 1, -1], {"fake_is": 1, "real_is": -1}),
        ([1, 2, 2, 2, 2, 2, 1], {"fake_is": 2}),
    ],
)
def test_labels_in_either_polarity(written, meaning):
    assert _labels(written, **meaning) == [0, 1, 1, 1, 1, 1, 0]


@pytest.mark.parametrize(
    ("written", "meaning", "message"),
    [
        ([0, 1, 2], {}, r"neither '1' \(fake\) nor '0' \(real\)(.|\n)*found: 2"),
        (["FAKE"], {}, "neither '1'"),
        (["REAL", "FAKE", "both"], {"fake_is": "FAKE"}, "neither 'fake'(.|\n)*found: 'both'"),
        ([0, ""], {}, "blank"),
        ([0, None], {}, "blank"),
        ([0, math.nan], {}, "blank"),
        ([0, "NaN"], {}, "blank"),
        ([["fake"]], {}, "neither"),
        (["FAKED"], {"fake_is": "FAKE"}, "no label is 'fake'(.|\n)*real_is: FAKED"),
        (["fake"], {"fake_is": "camera"}, "inverted"),
        ([], {"fake_is": "Real"}, "inverted"),
        ([], {"fake_is": 1, "real_is": "fake"}, "inverted"),
        ([], {"fake_is": "a", "real_is": "A"}, "not two labels"),
        ([], {"fake_is": ""}, "not two labels"),
        ([], {"real_is": ""}, "not two labels"),
    ],
)
def test_labels_that_are_not_understood(written, meaning, message):
    with pytest.raises(InputError, match=message):
        _labels(written, **meaning)


def test_one_class_alone_is_understood_where_its_label_is_known():
    assert _labels([0, 0]) == [0, 0]
    assert _labels(["camera"], fake_is="sd", real_is="Camera") == [0]
    assert _labels(["sd"], fake_is="SD") == [1]


def test_labels_are_compared_as_numbers_and_without_case():
    assert [plain(each) for each in (1, 1.0, "1", True, "TRUE", "-1.0", "v1.0", None)] == [
        "1", "1", "1", "1", "1", "-1", "v1.0", "",
    ]  # fmt: skip


def test_split_names():
    assert [part_of(name) for name in ("Train", "validation", "dev", "few", "holdout")] == [
        "train", "val", "val", "few", "",
    ]  # fmt: skip


def test_names_of_files_and_folders_mean_published_parts_only():
    assert [published_part_of(name) for name in ("Train", "validation", "TEST", "few", "adapt", "fusion")] == [
        "train", "val", "test", "", "", "",
    ]  # fmt: skip


def _image(label=1, part="", **told):
    return labelled_image("a.png", label, told, size=3, modified=5, part=part)


def test_what_is_told_of_an_image():
    found = _image(generator=" sd ", family="DM", source="laion", split="validation", group=7, channel="telegram")
    assert found._asdict() == {
        "path": "a.png", "label": 1, "generator": "sd", "bytes": 3, "modified": 5, "offset": -1, "family": "dm",
        "source": "laion", "part": "val", "group": "7", "channel": "telegram", "partner": "",
    }  # fmt: skip


def test_where_nothing_is_told_the_class_is_the_name_and_the_part_is_the_archives():
    assert _image(0, generator=None, family=math.nan, part="test")[2:] == (
        "real", 3, 5, -1, "", "", "test", "", "", "",
    )  # fmt: skip
    assert _image(1).generator == "fake"
    assert _image(1, part="test", split="train").part == "train"


def test_half_a_surrogate_pair_becomes_text_that_can_be_written():
    assert _image(group="a\ud800").group.encode() == b"a\\ud800"


@pytest.mark.parametrize(
    ("label", "told", "message"),
    [
        (1, {"family": "diffusion"}, "unknown family"),
        (1, {"family": "real"}, "wrong way round"),
        (0, {"family": "gan"}, "wrong way round"),
        (1, {"split": "tset"}, "did you mean 'test'"),
        (1, {"group": ["a"]}, "no single word"),
    ],
)
def test_what_is_told_and_not_understood(label, told, message):
    with pytest.raises(InputError, match=message):
        _image(label, **told)
