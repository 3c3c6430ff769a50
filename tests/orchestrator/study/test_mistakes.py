"""Every mistake in a study is told with its file, line, key path, the value found and a fix."""

import pytest

from orchestrator.study.load import load_study
from trainables.errors import InputError


@pytest.mark.parametrize(
    ("changes", "place", "words"),
    [
        ({"detecters": ["x"]}, "detecters", ["unknown key", "'detectors'"]),
        ({"size": 64}, "size", ["unknown key", "under `image`"]),
        ({"cpus": 2, "resources": {"cpus": 2}}, "resources.cpus", ["unknown key", "under `default`"]),
        ({"data": {"rot": "x"}}, "data.rot", ["unknown key", "'root'"]),
        ({"data": {}}, "data.root", ["required", "add `root:`"]),
        ({"detectors": ["residual_cn"]}, "detectors.0", ["unknown name", "'residual_cn'", "'residual_cnn'"]),
        ({"adaptations": ["dan"]}, "adaptations.0", ["unknown name", "'dan'", "'dann'"]),
        ({"adaptations": [{"kind": "dann", "wieght": 1}]}, "adaptations.0.wieght", ["unknown key", "'weight'"]),
        ({"adaptations": [{"kind": "dann", "epochs": 1}]}, "adaptations.0.epochs", ["unknown key", "under `recipe`"]),
        (
            {"adaptations": [{"kind": "dann", "weight": -1}]},
            "adaptations.0.weight",
            ["greater than or equal to 0", "-1"],
        ),
        ({"adaptations": [{"weight": 1}]}, "adaptations.0", ["no `kind`"]),
        ({"adaptations": [3]}, "adaptations.0", ["must be a name, or a mapping", "3"]),
        ({"adaptations": "dann"}, "adaptations", ["must be a list", "write [dann]"]),
        ({"detectors": []}, "detectors", ["must not be empty"]),
        ({"train_generators": "tconv"}, "train_generators", ["list of names", "write [tconv]"]),
        ({"test_generators": []}, "test_generators", ["an empty list selects nothing", "`all`"]),
        ({"test_generators": ["tconv", "tconv"]}, "test_generators.1", ["listed twice", "'tconv'"]),
        ({"seeds": [0, 1, 0]}, "seeds.2", ["listed twice"]),
        ({"seeds": [-1]}, "seeds.0", ["greater than or equal to 0", "-1"]),
        ({"name": "my study"}, "name", ["not a safe name", "'my study'"]),
        ({"image": {"fit": "crp"}}, "image.fit", ["not one of the choices", "'crop'"]),
        ({"selection": "oracle"}, "selection", ["not one of the choices", "'oracle'"]),
        ({"resources": {"default": {"workers": 0}}}, "resources.default.workers", ["greater than 0", "found: 0"]),
        ({"resources": {"train": {"cpus": float("inf")}}}, "resources.train.cpus", ["finite"]),
        ({"resources": {"train": {"gpus": 1.5}}}, "resources.train", ["whole GPUs", "1.5"]),
        ({"resources": {"train": {"gpus": 0.5, "workers": 2}}}, "resources.train", ["NCCL"]),
        ({"resources": {"train": {"launcher": "inline", "workers": 2}}}, "resources.train", ["one process"]),
        ({"data": {"root": "x", "splits": {"train": 0.9}}}, "data.splits", ["sum to 1", "1.45"]),
        ({"storage": "s3://bucket/x"}, "storage", ["local folder", "s3://bucket/x"]),
        ({"tracking": {"uri": "mlruns"}}, "tracking.uri", ["database or a server", "sqlite:///"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_message_names_the_place_the_value_and_the_fix(refusal, changes, place, words):
    message = refusal(**changes)

    assert f": {place}: " in message
    for word in words:
        assert word in message


def test_the_line_of_the_mistake_is_given(refusal):
    message = refusal(
        "name: x\ndata:\n  root: images\n  unusable: ignore\ndetectors: [residual_cnn]\ntrain_generators: all\n"
    )

    assert "study.yaml:4: data.unusable: " in message


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(refusal):
    message = refusal("seeds: [0, 0]\ndata: {}\nname: a b\ndetectors: [resnet]\ntrain_generators: all\n")

    places = ["seeds.1", "data.root", "name", "detectors.0"]
    assert "4 problems" in message
    assert [message.index(f": {place}: ") for place in places] == sorted(message.index(f": {p}: ") for p in places)


def test_a_list_whose_entries_are_all_wrong_is_not_called_empty(refusal):
    assert "must not be empty" not in refusal(detectors=["resnet"])


def test_a_key_without_a_value_is_told_as_such(refusal):
    assert "study.yaml:3: detectors: the key has no value" in refusal(
        "name: x\ndata: {root: images}\ndetectors:\ntrain_generators: all\n"
    )


def test_two_members_of_one_name_are_refused(refusal):
    message = refusal(adaptations=[{"kind": "dann", "weight": 1}, {"kind": "dann", "weight": 2}])

    assert "adaptations.1.name: two have this name" in message
    assert "another `name:`" in message


def test_two_names_for_one_thing_are_refused(refusal):
    message = refusal(detectors=["residual_cnn", {"kind": "residual_cnn", "name": "again"}])

    assert "detectors.1: the same parameters as 'residual_cnn'" in message


@pytest.mark.parametrize(
    "adaptations", [[{"kind": "source_only", "name": "none"}], [{"kind": "dann", "name": "source_only"}]]
)
def test_the_name_source_only_means_the_unadapted_detector(refusal, adaptations):
    assert "adaptations.0.name: `source_only` is the name of the unadapted detector" in refusal(adaptations=adaptations)


@pytest.mark.parametrize(("room", "member"), [("attacks", "pgd"), ("analyses", "gradcam")])
def test_attacks_and_analyses_name_adaptations_of_the_study(refusal, room, member):
    message = refusal(**{room: [{"kind": member, "adaptations": ["dan"]}]})

    assert f"{room}.0.adaptations: the study has no such name" in message
    assert "did you mean 'dann'?" in message


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("name: x\nname: y\n", "study.yaml:2", "the key `name` is given twice, on lines 1 and 2"),
        ("name: x\ndata: {root: a, root: b}\n", "study.yaml:2", "the key `root` is given twice"),
        ("name: [x\ndata: y\n", "study.yaml:2:5", "not valid YAML"),
        ("name: x\n\tdata: y\n", "study.yaml:2:1", "spaces, not tabs"),
        ("name: x\n---\nname: y\n", "study.yaml:2:1", "not valid YAML"),
        ("? [a]\n: b\n", "study.yaml:1:3", "not valid YAML"),
        ("name: !!python/object/apply:os.getcwd []\n", "study.yaml:1:7", "not valid YAML"),
        ("name: \x00\n", "study.yaml", "the file is not text"),
        ("", "study.yaml", "a study is a mapping"),
        ("- a\n- b\n", "study.yaml", "a study is a mapping"),
        ("just words\n", "study.yaml", "a study is a mapping"),
    ],
)
def test_a_file_that_is_no_yaml_mapping_is_refused(refusal, text, place, words):
    message = refusal(text)

    assert f"{place}: " in message
    assert words in message


def test_a_list_that_holds_itself_is_refused(refusal):
    assert "detectors.0" in refusal("name: x\ndata: {root: y}\ndetectors: &all [*all]\ntrain_generators: all\n")


def test_a_missing_file_is_told_with_the_nearest_name(write, tmp_path):
    write()

    with pytest.raises(InputError, match=r"no such file(.|\n)*did you mean 'study\.yaml'\?"):
        load_study(tmp_path / "studi.yaml")
    with pytest.raises(InputError, match="no such file"):
        load_study(tmp_path / "nowhere" / "study.yaml")


def test_a_folder_or_a_binary_file_is_no_study(tmp_path):
    binary = tmp_path / "image.yaml"
    binary.write_bytes(b"\xff\xd8\xff\xe0")

    with pytest.raises(InputError, match="cannot be read"):
        load_study(tmp_path)
    with pytest.raises(InputError, match="not UTF-8"):
        load_study(binary)
