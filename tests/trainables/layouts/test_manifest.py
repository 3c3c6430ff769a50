import os

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trainables.data.conftest import noise
from trainables.errors import InputError
from trainables.indexing.content import read_content
from trainables.layouts.manifest import Config, _path, recognises, scan

NAMES = ["a/0 with space.png", "a/1 ünïcode 日本.png", "b/2\nnewline.png", 'b/3, comma "quoted".png']


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "images"
    for i, name in enumerate(NAMES):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        noise(i).save(root / name)
    return root


def _rows(**columns):
    return pd.DataFrame({"path": NAMES, "label": [0, 0, 1, 1], "generator": ["coco", "coco", "sd", "sd"]} | columns)


def _write(root, rows, name="manifest.csv"):
    if name.endswith("csv"):
        rows.to_csv(root / name, index=False)
    else:
        rows.to_parquet(root / name, index=False)
    return root


@pytest.fixture(params=["manifest.csv", "manifest.parquet"])
def table(request):
    return request.param


def _scan(root, **config):
    return list(scan(Config(**config), root))


def test_what_the_table_says(root, table):
    extra = {"family": ["", "", "dm", "gan"], "source": ["coco", "", "laion", ""], "group": [1, 1, 2, 2]}
    extra |= {
        "split": ["train", "validation", "test", ""],
        "channel": ["", "facebook", "", ""],
        "caption": list("abcd"),
    }
    found = _scan(_write(root, _rows(**extra), table))
    assert [each.path for each in found] == NAMES
    assert [(each.label, each.generator, each.family, each.source) for each in found] == [
        (0, "coco", "", "coco"), (0, "coco", "", ""), (1, "sd", "dm", "laion"), (1, "sd", "gan", ""),
    ]  # fmt: skip
    assert [(each.part, each.group, each.channel) for each in found] == [
        ("train", "1", ""), ("val", "1", "facebook"), ("test", "2", ""), ("", "2", ""),
    ]  # fmt: skip
    for each in found:
        status = (root / each.path).stat()
        assert (each.bytes, each.modified, each.offset) == (status.st_size, status.st_mtime_ns, -1)
        assert read_content(root, each.path, each.offset, each.bytes) == (root / each.path).read_bytes()


@pytest.mark.parametrize(
    ("labels", "fake_is"),
    [
        ([1, 1, 0, 0], 0),
        (["REAL", "REAL", "FAKE", "FAKE"], "FAKE"),
        ([False, False, True, True], 1),
        ([0.0, 0.0, 1.0, 1.0], 1),
    ],
)
def test_either_polarity(root, table, labels, fake_is):
    _write(root, _rows(label=labels), table)
    assert [each.label for each in _scan(root, fake_is=fake_is)] == [0, 0, 1, 1]


def test_one_class_in_words_must_be_named(root, table):
    _write(root, _rows(label="camera"), table)
    with pytest.raises(InputError, match=f"{table}: no label is 'sd'"):
        _scan(root, fake_is="sd")
    assert [each.label for each in _scan(root, fake_is="sd", real_is="camera")] == [0] * 4


def test_other_names_for_table_and_columns(root, table):
    rows = _rows().rename(columns={"path": "file_name", "label": "is_fake", "generator": "label"})
    (root / "tables").mkdir()
    name = f"tables/mine.{table.rpartition('.')[2]}"
    _write(root, rows, name)
    columns = {"path": "file_name", "label": "is_fake", "generator": "label"}
    found = _scan(root, table=name, columns=columns)
    assert [(each.label, each.generator) for each in found] == [(0, "coco"), (0, "coco"), (1, "sd"), (1, "sd")]


def test_paths_are_put_in_their_shortest_form_and_links_within_the_folder_are_followed(root, tmp_path):
    (root / "c").symlink_to("b")
    (root / "link.png").symlink_to("a/0 with space.png")
    root = _rename(root, tmp_path)
    rows = pd.DataFrame({"path": ["./a//0 with space.png", f"c/{NAMES[3][2:]}", "link.png"]})
    found = _scan(_write(root, rows.assign(label=1, generator="sd")))
    assert [each.path for each in found] == [NAMES[0], f"c/{NAMES[3][2:]}", "link.png"]
    assert found[2].bytes == found[0].bytes


def _rename(root, tmp_path):
    """The data folder itself may be a link."""
    (tmp_path / "link").symlink_to(root)
    return tmp_path / "link"


def test_a_byte_order_mark_and_blank_lines_are_passed_over(root):
    (root / "manifest.csv").write_text(f"path,label,generator\n\n{NAMES[0]},1,sd\n\n", encoding="utf-8-sig")
    assert [each.path for each in _scan(root)] == [NAMES[0]]


def _with(column, position, value):
    rows = _rows().astype(object)
    rows.loc[position, column] = value
    return rows


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (_rows().drop(columns="label"), r"manifest.csv: the table has no column 'label'(.|\n)*columns: \{label: …\}"),
        (_rows().drop(columns="generator"), "no column 'generator'"),
        (_with("path", 1, NAMES[0]), r"line 3: a path is listed twice(.|\n)*a/0 with space.png"),
        (_with("path", 1, f"a/.//{NAMES[0][2:]}"), "listed twice"),
        (_with("label", 1, np.nan), "line 3: the label is blank"),
        (_with("path", 0, None), "line 2: the path is blank"),
        (_with("generator", 0, ""), "line 2: the generator is blank"),
        # The path of the row before has a newline in it: the number is that of the row's last line in the file.
        (_with("label", 3, 2), r"line 6: the label is neither '1' \(fake\) nor '0' \(real\)(.|\n)*found: '2'"),
        (_rows(family=["real", "real", "dm", "vae"]), "unknown family(.|\n)*found: 'vae'"),
        (_rows(split=["tain", "", "", ""]), "unknown split(.|\n)*did you mean 'train'"),
        (_with("path", 0, "/etc/passwd"), "line 2: a path leaves the data folder"),
        (_with("path", 0, "../images/a.png"), "a path leaves the data folder"),
        (_with("path", 0, "a/../../x.png"), "a path leaves the data folder"),
        (_with("path", 0, "a"), "no ordinary file"),
        (_rows().iloc[:0], "lists no images"),
    ],
)
def test_a_table_that_is_not_understood_is_refused(root, rows, message):
    with pytest.raises(InputError, match=message):
        _scan(_write(root, rows))


def test_nothing_and_nan_in_parquet_are_blank(root):
    for column, message in (("label", "row 3: the label is blank"), ("path", "row 3: the path is blank")):
        rows = _rows(label=[0.0, 0.0, 1.0, 1.0])
        rows.loc[2, column] = None
        with pytest.raises(InputError, match=message):
            _scan(_write(root, rows, "manifest.parquet"))


def test_absent_files_are_counted_and_the_first_named(root, table):
    (root / "gone.png").symlink_to("nowhere.png")
    (root / "loop.png").symlink_to("loop.png")
    absent = ["gone.png", "loop.png", *(f"x/{i}.png" for i in range(5))]
    rows = pd.concat([_rows(), pd.DataFrame({"path": absent, "label": 1, "generator": "sd"})])
    with pytest.raises(InputError, match="7 listed files are not there") as error:
        _scan(_write(root, rows, table))
    assert error.value.value == absent[:5]


@pytest.mark.parametrize("link", ["file", "folder"])
def test_a_path_that_a_link_leads_out_of_the_folder_is_refused(root, tmp_path, link):
    outside = tmp_path / "images of others"
    outside.mkdir()
    noise(9).save(outside / "x.png")
    (root / "out").symlink_to(outside)
    (root / "out.png").symlink_to(outside / "x.png")
    path = "out.png" if link == "file" else "out/x.png"
    with pytest.raises(InputError, match="line 2: a path leads out of the data folder through a symbolic link"):
        _scan(_write(root, _with("path", 0, path)))


def test_what_is_no_ordinary_file_is_never_opened(root):
    os.mkfifo(root / "pipe.png")
    with pytest.raises(InputError, match="no ordinary file"):
        _scan(_write(root, _with("path", 0, "pipe.png")))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("manifest.csv", b"", "the table is empty"),
        ("manifest.csv", "path,label,generator\n\xe4.png,0,coco\n".encode("latin-1"), "not UTF-8"),
        ("manifest.csv", b"path,label,generator\na.png,0\n", r"line 2: 2 values under 3 columns"),
        ("manifest.csv", b'path,label,generator\n"a.png"x,0,coco\n', "no table of comma-separated values"),
        ("manifest.csv", b'path,label,generator\n"a.png,0,coco\n', "no table of comma-separated values"),
        ("manifest.csv", b"path,label,generator\na\0b.png,0,coco\n", "leaves the data folder"),
        ("manifest.csv", b"path,label,label\na.png,0,coco\n", "two columns have one name"),
        ("manifest.csv", b"path;label;generator\na.png;0;coco\n", "no column 'path'"),
        ("manifest.parquet", b"path,label\n", "no table of Parquet"),
        ("manifest.parquet", b"", "no table of Parquet"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message) as error:
        _scan(tmp_path)
    assert name in str(error.value.where)


def test_which_table_is_meant(root):
    with pytest.raises(InputError, match="there is no table of the images"):
        _scan(root)
    with pytest.raises(InputError, match="there is no such table"):
        _scan(root, table="mine.csv")
    with pytest.raises(InputError, match=r"a table is \.csv or \.parquet"):
        _scan(root, table="mine.xlsx")
    for table in ("manifest.csv", "manifest.parquet"):
        _write(root, _rows(), table)
    with pytest.raises(InputError, match="there are two tables"):
        _scan(root)
    assert len(_scan(root, table="manifest.parquet")) == 4


def test_recognised_by_its_columns(root, table):
    assert not recognises(root)
    _write(root, _rows().drop(columns="label"), table)
    assert not recognises(root)
    _write(root, _rows(), table)
    assert recognises(root)
    (root / "real").mkdir()
    assert recognises(root)
    (root / "fake").mkdir()
    assert not recognises(root), "that is the layout `generic`"


def test_a_file_of_another_kind_is_not_recognised(tmp_path):
    (tmp_path / "manifest.csv").write_bytes(b"\xff\xfe\x00")
    assert not recognises(tmp_path)


PIECES = st.sampled_from(["..", ".", "", "a", "b c", "...", "..a", "a..", "\0", "~", "日本"])


@settings(max_examples=300, deadline=None, database=None)
@given(st.lists(PIECES, min_size=1, max_size=6).map("/".join))
def test_no_path_climbs_out(written):
    try:
        path = _path(written)
    except InputError:
        return
    inside = os.path.abspath(os.path.join("/data/images", path))  # noqa: PTH100, PTH118
    assert inside == "/data/images" or inside.startswith("/data/images/")
    assert os.path.relpath(inside, "/data/images") == path
