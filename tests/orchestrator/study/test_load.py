from pathlib import Path

import pytest

from orchestrator.study.load import dump_study, load_study, require_files
from orchestrator.study.model import Study
from orchestrator.study.rooms import AdaptationChoice, DetectorChoice
from trainables.errors import InputError
from trainables.recipe import Recipe


def test_names_and_mappings_both_choose_a_member(write):
    study = load_study(write())

    assert [(a.kind, a.name) for a in study.adaptations] == [
        ("source_only", "source_only"),
        ("recalibrate", "recalibrate"),
        ("dann", "dann"),
    ]
    assert study.adaptations[2].parameters["weight"] == 0.5


def test_source_only_is_added_once_wherever_it_stands(write):
    named = load_study(write(adaptations=["coral", "source_only"]))
    none = load_study(write(adaptations=None))

    assert [a.name for a in named.adaptations] == ["coral", "source_only"]
    assert [a.name for a in none.adaptations] == ["source_only"]


def test_relative_paths_are_taken_from_the_folder_of_the_file(write, tmp_path, monkeypatch):
    file = write(
        data=[{"root": "images"}, {"root": "/srv/others", "layout": "generic"}],
        cache={"folder": "/cache"},
        detectors=[{"kind": "resnet18", "weights": "weights/resnet18.pth"}],
        storage="../out",
        tracking={"uri": "sqlite:///runs.db"},
    )
    monkeypatch.chdir("/")

    study = load_study(file)

    assert [folder.root for folder in study.data] == [tmp_path / "images", Path("/srv/others")]
    assert study.cache.folder == Path("/cache")
    assert study.detectors[0].config.weights == tmp_path / "weights/resnet18.pth"
    assert study.storage == tmp_path.parent / "out"
    assert study.tracking.uri == f"sqlite:///{tmp_path}/runs.db"


@pytest.mark.parametrize("uri", ["http://tracking:5000", "sqlite:////srv/runs.db", "postgresql://user@host/runs"])
def test_absolute_tracking_addresses_stay_as_they_are(write, uri):
    assert load_study(write(tracking={"uri": uri})).tracking.uri == uri


def test_a_file_address_of_the_storage_is_its_path(write):
    assert load_study(write(storage="file:///srv/results")).storage == Path("/srv/results")


def test_dumping_writes_every_default_and_loads_as_an_equal_study(write, tmp_path):
    study = load_study(
        write(
            seeds=[0, 3],
            detectors=[{"kind": "residual_cnn", "name": "wide", "width": 32, "recipe": {"epochs": 3}}, "resnet18"],
            resources={"train": {"workers": 2}},
            data=[{"root": "a", "rename": {"sd": "sd14"}, "divide": {"train": ["train", "adapt"]}}, {"root": "b"}],
            splits="deepfeaturex",
            train_reals="own",
            description="a line: with a colon\nand a second",
        )
    )
    text = dump_study(study)
    (tmp_path / "elsewhere").mkdir()
    copy = tmp_path / "elsewhere" / "dumped.yaml"
    copy.write_text(text)

    assert load_study(copy) == study
    assert "weight_decay: 0.0001" in text
    assert "launcher: auto" in text


def test_part_of_a_recipe_changes_only_that_part(write):
    own = load_study(write()).detectors[0].config.recipe
    changed = (
        load_study(write(detectors=[{"kind": "residual_cnn", "recipe": {"epochs": 3}}])).detectors[0].config.recipe
    )

    assert own != Recipe()  # the detector has a recipe of its own, which is what must be kept
    assert changed == own.model_copy(update={"epochs": 3})


def test_one_data_folder_is_a_list_of_one(write):
    alone, listed = load_study(write(data={"root": "x"})), load_study(write(data=[{"root": "x"}]))

    assert alone == listed
    assert len(alone.data) == 1


def test_a_layout_is_a_name_or_a_mapping_with_its_parameters(write):
    named = load_study(write(data={"root": "x", "layout": "generic"}))
    mapped = load_study(write(data={"root": "x", "layout": {"kind": "generic"}}))

    assert named == mapped
    assert named.data[0].layout.kind == "generic"
    assert load_study(write()).data[0].layout is None


def test_paths_of_a_layout_are_relative_to_the_data_folder(write):
    table = {"kind": "manifest", "table": "lists/all.csv"}
    study = load_study(write(data={"root": "images", "layout": table}))

    assert study.data[0].layout.config.table == Path("lists/all.csv")


def test_shares_may_be_those_of_a_published_protocol(write):
    assert load_study(write(splits="deepfeaturex")).splits.fusion == 0.4


def test_numbers_in_exponent_form_are_numbers(write):
    study = load_study(write(detectors=[{"kind": "residual_cnn", "recipe": {"learning_rate": "1e-3"}}]))

    assert study.detectors[0].parameters["recipe"]["learning_rate"] == 0.001


def test_anchors_and_merge_keys_are_read_as_yaml_means_them(write):
    study = load_study(
        write("""
name: anchored
data: {root: images}
detectors:
  - &small {kind: residual_cnn, width: 4}
  - {<<: *small, name: other, width: 6}
train_generators: &fakes [tconv]
test_generators: *fakes
""")
    )

    assert [(d.name, d.parameters["width"]) for d in study.detectors] == [("residual_cnn", 4), ("other", 6)]
    assert study.test_generators == ("tconv",)


def test_a_study_can_be_made_in_python_from_choices():
    study = Study(
        name="made",
        data={"root": "images"},
        detectors=(DetectorChoice.model_validate({"kind": "residual_cnn", "width": 4}),),
        train_generators="all",
        adaptations=(AdaptationChoice.model_validate("coral"),),
    )

    assert study.detectors[0].parameters["width"] == 4
    assert [a.name for a in study.adaptations] == ["source_only", "coral"]


def test_a_password_is_not_written_down(write):
    study = load_study(write(tracking={"uri": "postgresql://me:s3:cret@host/runs"}))
    assert study.tracking.uri == "postgresql://me:s3:cret@host/runs"
    assert "cret" not in dump_study(study)
    assert "postgresql://me:***@host/runs" in dump_study(study)


@pytest.mark.parametrize(
    ("detector", "fix"),
    [
        ({"kind": "scores", "file": "s.csv"}, "put it there; nothing is downloaded"),
        ({"kind": "resnet18", "weights": "w.pth"}, "put it there, or leave the key out; nothing is downloaded"),
    ],
)
def test_a_file_that_is_not_there_may_be_left_out_where_it_is_not_required(write, detector, fix):
    with pytest.raises(InputError, match="no such file") as caught:
        require_files(load_study(write(detectors=[detector])))
    assert caught.value.fix == fix


@pytest.mark.parametrize("kind", ["clip_linear", "rine"])
def test_what_fetches_weights_of_clip_is_told(write, kind):
    pytest.importorskip("open_clip", reason="comes with the extra `clip`")
    detector = {"kind": kind, "architecture": "open_clip/ViT-L-14-quickgelu", "weights": "w.safetensors"}
    with pytest.raises(InputError, match=r"hf download \S+ open_clip_model\.safetensors") as caught:
        require_files(load_study(write(detectors=[detector])))
    assert caught.value.where == "detectors.0.weights"
    assert "leave the key out" not in str(caught.value.fix)
