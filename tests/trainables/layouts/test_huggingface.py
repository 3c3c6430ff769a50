import io
import json
import shutil
import warnings

import pyarrow as pa
import pytest

from tests.trainables.data.conftest import noise
from trainables.errors import InputError
from trainables.indexing.content import read_content
from trainables.layouts.huggingface import Config, recognises, scan

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def _png(seed):
    data = io.BytesIO()
    noise(seed, side=8).save(data, "PNG")
    return data.getvalue()


@pytest.fixture(scope="module")
def datasets(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setenv("HF_HOME", str(tmp_path_factory.mktemp("hf")))
        import datasets

        datasets.disable_progress_bars()
        yield datasets


IMAGES = [_png(i) for i in range(6)]


@pytest.fixture(scope="module")
def make(datasets):
    """A data set of six images, every other one a fake, with these columns changed or added."""

    def make(classes=("REAL", "FAKE"), **columns):
        given = {"image": [{"bytes": image, "path": None} for image in IMAGES], "label": [0, 1] * 3} | columns
        made = datasets.Dataset.from_dict({name: values for name, values in given.items() if values is not None})
        for name in made.column_names:
            if name.startswith("image"):
                made = made.cast_column(name, datasets.Image())
        return made.cast_column("label", datasets.ClassLabel(names=list(classes))) if classes else made

    return make


def _scan(root, **config):
    return list(scan(Config(**config), root))


def test_a_data_set_in_several_tables(make, tmp_path):
    more = {"generator": ["coco", "sd"] * 3, "family": [None, "dm"] * 3, "group": list("aabbcc"), "caption": ["x"] * 6}
    make(**more).save_to_disk(tmp_path, num_shards=2)
    assert recognises(tmp_path)
    found = _scan(tmp_path)
    assert [each.path for each in found] == [f"data-0000{i // 3}-of-00002.arrow/image/{i % 3}" for i in range(6)]
    assert [each.offset for each in found] == [0, 1, 2] * 2
    assert [(each.label, each.generator, each.family, each.group) for each in found[:3]] == [
        (0, "coco", "", "a"), (1, "sd", "dm", "a"), (0, "coco", "", "b"),
    ]  # fmt: skip
    assert [each.bytes for each in found] == [len(image) for image in IMAGES]
    assert found[0].modified == (tmp_path / "data-00000-of-00002.arrow").stat().st_mtime_ns
    assert [read_content(tmp_path, each.path, each.offset, each.bytes) for each in found] == IMAGES


def test_splits_fix_the_parts(make, datasets, tmp_path):
    whole = make()
    splits = {"train": whole, "validation": whole.select([4, 1]), "test": whole.filter(lambda row: row["label"] == 1)}
    datasets.DatasetDict({**splits, "few": whole.select([2])}).save_to_disk(tmp_path)
    assert recognises(tmp_path)
    found = _scan(tmp_path)
    assert [each.part for each in found] == ["train"] * 6 + ["val"] * 2 + ["test"] * 3 + [""]
    assert [each.generator for each in found[:2]] == ["real", "fake"]
    read = [read_content(tmp_path, each.path, each.offset, each.bytes) for each in found]
    assert read == [*IMAGES, IMAGES[4], IMAGES[1], *IMAGES[1::2], IMAGES[2]]


def test_image_files_are_embedded_by_save_to_disk(make, tmp_path):
    (tmp_path / "0.png").write_bytes(IMAGES[0])
    make(image=[str(tmp_path / "0.png")], label=[1]).save_to_disk(tmp_path / "saved")
    (tmp_path / "0.png").unlink()
    (found,) = _scan(tmp_path / "saved")
    assert read_content(tmp_path / "saved", found.path, found.offset, found.bytes) == IMAGES[0]


@pytest.mark.parametrize(
    ("classes", "labels", "config"),
    [
        (("REAL", "FAKE"), [0, 1] * 3, {}),
        (("FAKE", "REAL"), [1, 0] * 3, {"fake_is": "FAKE"}),
        (("FAKE", "REAL"), [1, 0] * 3, {"fake_is": 0}),
        (("camera", "sd"), [0, 1] * 3, {"fake_is": "sd"}),
        (None, [0, 1] * 3, {}),
        (None, [True, False] * 3, {"fake_is": 0}),
        (None, ["REAL", "FAKE"] * 3, {"fake_is": "FAKE"}),
    ],
)
def test_either_polarity(make, tmp_path, classes, labels, config):
    make(classes, label=labels).save_to_disk(tmp_path)
    assert [each.label for each in _scan(tmp_path, **config)] == [0, 1] * 3


def test_one_class_alone_is_understood_by_the_names_of_the_classes(make, tmp_path):
    make(("camera", "sd"), label=[0] * 6).save_to_disk(tmp_path)
    assert [each.label for each in _scan(tmp_path, fake_is="sd")] == [0] * 6


def test_one_class_alone_in_words_without_classes_must_be_named(make, tmp_path):
    make(None, label=["camera"] * 6).save_to_disk(tmp_path)
    with pytest.raises(InputError, match="no label is 'sd'"):
        _scan(tmp_path, fake_is="sd")
    assert [each.label for each in _scan(tmp_path, fake_is="sd", real_is="camera")] == [0] * 6


def test_columns_by_other_names_and_classes_of_generators(make, datasets, tmp_path):
    columns = {"image2": [{"bytes": image, "path": None} for image in reversed(IMAGES)], "model": [0, 1] * 3}
    made = make(None, **columns).rename_column("label", "is_fake")
    made.cast_column("model", datasets.ClassLabel(names=["coco", "sd"])).save_to_disk(tmp_path)
    found = _scan(tmp_path, image="image2", label="is_fake", generator="model")
    assert [each.generator for each in found[:2]] == ["coco", "sd"]
    assert [read_content(tmp_path, e.path, e.offset, e.bytes) for e in found] == IMAGES[::-1]


@pytest.mark.parametrize(
    ("classes", "columns", "config", "message"),
    [
        (("FAKE", "REAL"), {}, {}, r"classes \['FAKE', 'REAL'\]: the labels are inverted"),
        (("a", "b"), {"label": [0, 1, -1] * 2}, {}, r"row 2: the label is neither 'b' \(fake\)"),
        (("a", "b"), {"label": [0, 1, None] * 2}, {}, "row 2: the label is blank"),
        (("a", "b", "c"), {"label": [0, 1, 2] * 2}, {}, "row 2: the label is neither"),
        (("a", "b"), {}, {"fake_is": "sd"}, "neither 'sd'"),
        (None, {}, {"label": "lable"}, r"no column 'lable'(.|\n)*did you mean 'label'"),
        (None, {}, {"image": "img"}, "no column 'img'"),
        (None, {}, {"image": "label"}, "'label' holds no encoded images(.|\n)*int64"),
        (None, {}, {"generator": "model"}, "no column 'model'"),
        (None, {"image": None}, {}, "no column holds encoded images"),
        (None, {"image2": [{"bytes": b"x", "path": None}] * 6}, {}, r"several columns(.|\n)*\['image', 'image2'\]"),
        (None, {"family": ["dm"] * 6}, {}, "row 0: a real image of family 'dm'"),
        (None, {"split": ["tset"] * 6}, {}, "row 0: unknown split"),
    ],
)
def test_a_data_set_that_is_not_understood(make, tmp_path, classes, columns, config, message):
    make(classes, **columns).save_to_disk(tmp_path)
    with pytest.raises(InputError, match=message):
        _scan(tmp_path, **config)


IMAGE = pa.struct({"bytes": pa.binary(), "path": pa.string()})


def _written(folder, columns, name="data-00000-of-00001.arrow"):
    """A data set of one table, written without `datasets`."""
    folder.mkdir(exist_ok=True)
    table = pa.table(columns)
    with pa.OSFile(str(folder / name), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table, max_chunksize=2)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name}]}))
    (folder / "dataset_info.json").write_text("{}")
    return folder


def test_images_that_are_only_named_are_refused(tmp_path):
    rows = [{"bytes": IMAGES[0], "path": "0.png"}] * 3 + [{"bytes": None, "path": "images/3.png"}]
    _written(tmp_path, {"image": pa.array(rows, IMAGE), "label": [0, 1, 0, 1]})
    with pytest.raises(InputError, match=r"row 3: the table names an image(.|\n)*images/3.png(.|\n)*save_to_disk"):
        _scan(tmp_path)


def test_a_row_without_an_image_is_found_out_when_it_is_read(tmp_path):
    rows = [None, {"bytes": None, "path": None}, {"bytes": IMAGES[0], "path": None}]
    _written(tmp_path, {"image": pa.array(rows, IMAGE), "label": [0, 1, 0]})
    found = _scan(tmp_path)
    assert [each.bytes for each in found] == [0, 0, len(IMAGES[0])]
    for each in found[:2]:
        with pytest.raises(ValueError, match="the row holds no image"):
            read_content(tmp_path, each.path, each.offset, each.bytes)
    assert read_content(tmp_path, *found[2][:1], 2, len(IMAGES[0])) == IMAGES[0]


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary()])
def test_a_column_of_bytes_will_do(tmp_path, kind):
    _written(tmp_path, {"jpg": pa.array(IMAGES, kind), "label": [0, 1] * 3})
    found = _scan(tmp_path)
    assert [read_content(tmp_path, e.path, e.offset, e.bytes) for e in found] == IMAGES


@pytest.mark.parametrize("cut", [8, 16, 500, 10**9])
def test_a_table_that_is_cut_short_is_refused_by_name(make, tmp_path, cut):
    make().save_to_disk(tmp_path)
    file = tmp_path / "data-00000-of-00001.arrow"
    data = file.read_bytes()
    file.write_bytes(data[: max(0, len(data) - cut)])
    with pytest.raises(InputError, match=r"data-00000-of-00001.arrow: the file is damaged, cut short"):
        _scan(tmp_path)


def test_offsets_that_lead_out_of_the_file_are_refused(tmp_path):
    _written(tmp_path, {"image": pa.array([b"\x5a" * 7, b"\xa5" * 9], pa.binary()), "label": [0, 1]})
    file = tmp_path / "data-00000-of-00001.arrow"
    offsets = b"".join(n.to_bytes(4, "little") for n in (0, 7, 16))
    data = file.read_bytes()
    assert data.count(offsets) == 1
    file.write_bytes(data.replace(offsets, b"".join(n.to_bytes(4, "little") for n in (0, 2**30, 16))))
    with pytest.raises(InputError, match="the file is damaged"):
        _scan(tmp_path)


@pytest.mark.parametrize("name", ["../out.arrow", "/etc/passwd", "..", "", None, 3])
def test_names_that_lead_elsewhere_are_refused(tmp_path, name):
    _written(tmp_path, {"image": pa.array(IMAGES, pa.binary()), "label": [0, 1] * 3})
    (tmp_path / "state.json").write_text(json.dumps({"_data_files": [{"filename": name}]}))
    with pytest.raises(InputError, match="no plain name"):
        _scan(tmp_path)
    (tmp_path / "dataset_dict.json").write_text(json.dumps({"splits": [name]}))
    with pytest.raises(InputError, match="no plain name"):
        _scan(tmp_path)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("state.json", "{", "state.json: the file is absent or no JSON"),
        ("state.json", "{}", "the data set has no tables"),
        ("state.json", '{"_data_files": [{"filename": "x.py"}]}', r"ends in .arrow(.|\n)*x.py"),
        ("state.json", '{"_data_files": [{"filename": "x.arrow"}]}', "x.arrow: the file is damaged"),
        ("dataset_dict.json", "[]", "the data set has no tables"),
        ("dataset_dict.json", '{"splits": ["train"]}', r"train/state.json: the file is absent"),
    ],
)
def test_a_folder_that_is_not_whole_is_refused(tmp_path, file, content, message):
    _written(tmp_path, {"image": pa.array(IMAGES, pa.binary()), "label": [0, 1] * 3})
    (tmp_path / file).write_text(content)
    with pytest.raises(InputError, match=message):
        _scan(tmp_path)


def test_recognised_by_the_files_of_save_to_disk(tmp_path):
    assert not recognises(tmp_path)
    _written(tmp_path, {"image": pa.array(IMAGES, pa.binary()), "label": [0, 1] * 3})
    assert recognises(tmp_path)
    (tmp_path / "dataset_info.json").unlink()
    assert not recognises(tmp_path)
    shutil.rmtree(tmp_path)
    assert not recognises(tmp_path)
