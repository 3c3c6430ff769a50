"""Every mistake in a study is told with its file, line, key path, the value found and a fix."""

import pytest

from orchestrator.study.load import load_study
from trainables.errors import InputError


@pytest.mark.parametrize(
    ("changes", "place", "words"),
    [
        ({"detecters": ["x"]}, "detecters", ["unknown key", "'detectors'"]),
        ({"size": 64}, "size", ["unknown key", "under `preprocess`"]),
        ({"cpus": 2, "resources": {"cpus": 2}}, "resources.cpus", ["unknown key", "under `default`"]),
        ({"data": {"rot": "x"}}, "data.rot", ["unknown key", "'root'"]),
        ({"data": {}}, "data.root", ["required", "add `root:`"]),
        ({"data": "images"}, "data", ["mapping with `root`", "write {root: images}"]),
        ({"data": []}, "data", ["must not be empty"]),
        ({"data": [{"root": "x"}, {"rot": "x", "root": "y"}]}, "data.1.rot", ["unknown key", "'root'"]),
        ({"data": [{"root": "x", "limit": 0}]}, "data.0.limit", ["greater than 0", "found: 0"]),
        ({"data": {"root": "x", "generators": "tconv"}}, "data.generators", ["list of names", "write [tconv]"]),
        ({"data": {"root": "x", "channels": []}}, "data.channels", ["an empty list selects nothing"]),
        ({"data": {"root": "x", "layout": "forensinths"}}, "data.layout", ["unknown name", "'forensynths'"]),
        ({"data": {"root": "x", "layout": {"kind": "generic", "faek": 1}}}, "data.layout.faek", ["unknown key"]),
        ({"data": {"root": "x", "rename": ["sd"]}}, "data.rename", ["mapping of keys to values"]),
        ({"data": {"root": "x", "rename": {"sd": ""}}}, "data.rename.sd", ["at least 1 character"]),
        ({"data": {"root": "x", "families": {"sd": "dn"}}}, "data.families.sd", ["not one of the choices", "'dm'"]),
        ({"data": {"root": "x", "divide": {"tran": ["val"]}}}, "data.divide.tran", ["not one of", "'train'"]),
        ({"data": {"root": "x", "divide": {"train": ["vla"]}}}, "data.divide.train.0", ["not one of", "'val'"]),
        ({"data": {"root": "x", "divide": {"train": "val"}}}, "data.divide.train", ["must be a list", "write [val]"]),
        ({"data": {"root": "x", "smallest": 9, "largest": 3}}, "data", ["that small and that large", "swap them"]),
        ({"train_reals": "phone"}, "train_reals", ["`all`, `own` or a list", "write [phone]"]),
        ({"overlap": "ignore"}, "overlap", ["not one of the choices", "drop, refuse"]),
        ({"cache": "/scratch"}, "cache", ["mapping of keys to values", "its keys are folder, gigabytes"]),
        ({"detectors": ["residual_cn"]}, "detectors.0", ["unknown name", "'residual_cn'", "'residual_cnn'"]),
        ({"adaptations": ["dnn"]}, "adaptations.0", ["unknown name", "'dnn'", "'dann'"]),
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
        ({"train_generators": None}, "train_generators", ["required", "write `train_generators: all`"]),
        ({"train_generators": []}, "train_generators", ["an empty list selects nothing", "`all`"]),
        ({"train_generators": "tconv"}, "train_generators", ["list of names", "write [tconv]"]),
        ({"test_generators": []}, "test_generators", ["an empty list selects nothing", "`all`"]),
        ({"test_generators": ["tconv", "tconv"]}, "test_generators.1", ["listed twice", "'tconv'"]),
        ({"seeds": [0, 1, 0]}, "seeds.2", ["listed twice"]),
        ({"seeds": [-1]}, "seeds.0", ["greater than or equal to 0", "-1"]),
        ({"name": "my study"}, "name", ["not a safe name", "'my study'"]),
        ({"preprocess": {"fit": "crp"}}, "preprocess.fit", ["not one of the choices", "'crop'"]),
        ({"preprocess": {"patches": {"kind": "gird"}}}, "preprocess.patches", ["unknown 'kind'", "'grid'"]),
        ({"preprocess": {"patches": {"kind": "grid", "sied": 3}}}, "preprocess.patches.sied", ["'side'"]),
        ({"preprocess": {"patches": {"kind": "grid", "side": 1}}}, "preprocess.patches.side", ["greater than", "1"]),
        (
            {"preprocess": {"patches": {"kind": "random", "count": 5, "top": 10}}},
            "preprocess.patches.random",
            ["of 5 squares no 10 can count", "'count: 5, top: 10'", "make `top` 5 at most"],
        ),
        ({"selection": "imm"}, "selection", ["no such rule", "'imm'", "im"]),
        ({"resources": {"default": {"workers": 0}}}, "resources.default.workers", ["greater than 0", "found: 0"]),
        ({"resources": {"train": {"cpus": float("inf")}}}, "resources.train.cpus", ["finite"]),
        ({"resources": {"train": {"gpus": 1.5}}}, "resources.train", ["whole GPUs", "1.5"]),
        ({"resources": {"train": {"gpus": 0.5, "workers": 2}}}, "resources.train", ["NCCL"]),
        ({"resources": {"train": {"launcher": "inline", "workers": 2}}}, "resources.train", ["one process"]),
        ({"splits": {"train": 0.9}}, "splits", ["sum to 1", "1.45"]),
        ({"splits": "deepfeature"}, "splits", ["no such preset", "'deepfeaturex'"]),
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


@pytest.mark.parametrize(
    ("changes", "place", "now"),
    [
        ({"image": {"size": 64}}, "image", "`preprocess:` at the top"),
        ({"data": {"root": "x", "splits": {"train": 1}}}, "data.splits", "`splits` at the top"),
        ({"data": {"root": "x", "train_reals": ["phone"]}}, "data.train_reals", "`train_reals` at the top"),
        ({"data": {"root": "x", "test_reals": ["phone"]}}, "data.test_reals", "`test_reals` at the top"),
        ({"data": {"root": "x", "cache": "/scratch"}}, "data.cache", "`cache` at the top"),
    ],
)
def test_a_key_of_an_earlier_version_is_told_where_it_is_today(refusal, changes, place, now):
    message = refusal(**changes)

    assert f": {place}: unknown key" in message
    assert now in message


def test_the_line_is_that_of_the_folder_in_a_list(refusal):
    head, tail = "name: x\n", "detectors: [residual_cnn]\ntrain_generators: all\n"
    listed = refusal(f"{head}data:\n- root: a\n- root: b\n  limit: no\n{tail}")
    alone = refusal(f"{head}data:\n  root: b\n  limit: no\n{tail}")

    assert "study.yaml:5: data.1.limit: " in listed
    assert "study.yaml:4: data.limit: " in alone


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
