import io
import json
import tarfile
import warnings

import pytest

from tests.trainables.data.conftest import noise
from trainables.errors import InputError
from trainables.indexing.content import read_content
from trainables.layouts.webdataset import Config, recognises, scan


def _png(seed):
    data = io.BytesIO()
    noise(seed, side=8).save(data, "PNG")
    return data.getvalue()


def _tar(file, members, kind=tarfile.PAX_FORMAT):
    """A plain archive of name → bytes, or of ready-made headers."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(file, "w", format=kind) as archive:
        for name, content in members:
            header = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            data = b"" if isinstance(content, tarfile.TarInfo) else content
            header.size = len(data)
            archive.addfile(header, io.BytesIO(data))
    return file.parent


def _samples(labels=(0, 1), ending="cls"):
    return [
        member
        for i, label in enumerate(labels)
        for member in ((f"{i:04d}.png", _png(i)), (f"{i:04d}.{ending}", str(label).encode()))
    ]


def _scan(root, **config):
    return list(scan(Config(**config), root))


def test_shards_of_the_webdataset_library(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import webdataset

    about = {"label": 1, "generator": "sd", "family": "dm", "source": "laion", "group": "p1", "channel": "x"}
    images = [_png(i) for i in range(6)]
    with webdataset.ShardWriter(f"{tmp_path}/train-%06d.tar", maxcount=4, verbose=0) as shards:
        for i, image in enumerate(images):
            told = about if i % 2 else {"label": 0, "generator": "coco"}
            shards.write({"__key__": f"sub/{i:04d}", "png": image, "json": told})
    assert recognises(tmp_path)
    found = _scan(tmp_path)
    assert [each.path for each in found] == [
        *(f"train-000000.tar/sub/{i:04d}.png" for i in range(4)),
        *(f"train-000001.tar/sub/{i:04d}.png" for i in (4, 5)),
    ]
    assert [each.label for each in found] == [0, 1, 0, 1, 0, 1]
    assert [read_content(tmp_path, each.path, each.offset, each.bytes) for each in found] == images
    first, second = found[:2]
    assert (first.generator, first.family, first.part, first.bytes) == ("coco", "", "train", len(images[0]))
    assert first.modified == (tmp_path / "train-000000.tar").stat().st_mtime_ns
    assert second[6:] == ("dm", "laion", "train", "p1", "x", "")


@pytest.mark.parametrize("kind", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_plain_archives_in_folders_of_parts(tmp_path, kind):
    for name in (
        "train/0.tar",
        "train/val/0.tar",
        "test/1.tar",
        "more/validation_0.tar",
        "more/trainees.tar",
        "few/few-000.tar",
    ):
        _tar(tmp_path / name, _samples(), kind)
    assert recognises(tmp_path)
    found = _scan(tmp_path)
    assert {each.path.partition(".tar")[0]: each.part for each in found} == {
        "train/0": "train", "train/val/0": "val", "test/1": "test", "more/validation_0": "val", "more/trainees": "",
        "few/few-000": "",
    }  # fmt: skip
    assert [(each.label, each.generator) for each in found[:2]] == [(0, "real"), (1, "fake")]
    assert all(read_content(tmp_path, e.path, e.offset, e.bytes) == _png(e.label) for e in found)


@pytest.mark.parametrize("ending", ["cls", "txt", "json"])
def test_labels_in_words_in_either_polarity(tmp_path, ending):
    labels = ['{"label": "REAL"}', '{"label": "FAKE"}'] if ending == "json" else ["REAL\n", "FAKE\n"]
    _tar(tmp_path / "0.tar", _samples(labels, ending))
    assert [each.label for each in _scan(tmp_path, fake_is="FAKE")] == [0, 1]


def test_shards_of_a_linked_folder_are_read_once(tmp_path):
    _tar(tmp_path / "a/0.tar", _samples())
    (tmp_path / "b").symlink_to(tmp_path / "a")
    assert {each.path for each in _scan(tmp_path)} == {"a/0.tar/0000.png", "a/0.tar/0001.png"}


def test_class_before_json_before_text_and_keys_by_other_names(tmp_path):
    told = json.dumps({"label": 0, "is_fake": True, "model": "sd", "split": "test"}).encode()
    _tar(tmp_path / "0.tar", [("a.png", _png(0)), ("a.cls", b"1"), ("a.json", told), ("a.txt", b"a cat")])
    assert _scan(tmp_path)[0].label == 1
    _tar(tmp_path / "0.tar", [("a.png", _png(0)), ("a.json", told), ("a.txt", b"a cat")])
    (found,) = _scan(tmp_path, label="is_fake", generator="model")
    assert (found.label, found.generator, found.part) == (1, "sd", "test")


def test_one_of_several_images_of_a_sample(tmp_path):
    _tar(tmp_path / "0.tar", [("a.input.png", _png(1)), ("a.mask.PNG", _png(2)), ("a.cls", b"1")])
    with pytest.raises(InputError, match=r"0.tar: a: several images in one sample(.|\n)*'mask.png'"):
        _scan(tmp_path)
    (found,) = _scan(tmp_path, image="mask.png")
    assert read_content(tmp_path, found.path, found.offset, found.bytes) == _png(2)


def test_hostile_members_are_harmless(tmp_path):
    link, hard, pipe = (tarfile.TarInfo(name) for name in ("l.png", "h.png", "p.png"))
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    hard.type, hard.linkname = tarfile.LNKTYPE, "../../etc/passwd"
    pipe.type = tarfile.FIFOTYPE
    names = ["/etc/cron.d/x", "../../outside", "a.tar/b.arrow/x", "x\ny", "ünï", "long/" * 60 + "x"]
    good = [(f"{name}.{end}", data) for name in names for end, data in (("png", _png(len(name))), ("cls", b"1"))]
    extra = [(each.name, each) for each in (link, hard, pipe)]
    _tar(tmp_path / "in/0.tar", [*extra, (".hidden", b"x"), ("README", b"x"), ("dataset.json", b"{"), *good])
    before = sorted(tmp_path.rglob("*"))
    found = _scan(tmp_path)
    assert [each.path for each in found] == [f"in/0.tar/{name}.png" for name in names]
    for name, each in zip(names, found, strict=True):
        assert read_content(tmp_path, each.path, each.offset, each.bytes) == _png(len(name))
    assert sorted(tmp_path.rglob("*")) == before


def test_a_sparse_member_is_not_read(tmp_path):
    _tar(tmp_path / "0.tar", [("a.png", _png(0)), ("a.cls", b"1"), ("b.png", _png(1)), ("b.cls", b"1")])
    data = bytearray((tmp_path / "0.tar").read_bytes())
    start = data.index(b"b.png\0")
    header = tarfile.TarInfo.frombuf(bytes(data[start : start + 512]), "utf-8", "strict")
    header.type = tarfile.GNUTYPE_SPARSE
    data[start : start + 512] = header.tobuf(tarfile.GNU_FORMAT)
    (tmp_path / "0.tar").write_bytes(data)
    assert [each.path for each in _scan(tmp_path)] == ["0.tar/a.png"]


def test_a_name_that_is_not_utf8_can_be_written_to_a_table(tmp_path):
    _tar(tmp_path / "0.tar", [("a\udcff.png", _png(0)), ("a\udcff.cls", b"1")], tarfile.GNU_FORMAT)
    (found,) = _scan(tmp_path)
    assert found.path.encode() == b"0.tar/a\\udcff.png"
    assert read_content(tmp_path, found.path, found.offset, found.bytes) == _png(0)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        (_samples()[:3], r"0.tar: 0001: a sample has no label(.|\n)*add a member .cls"),
        ([("a.png", b"x"), ("a.json", b'{"generator": "sd"}')], r"no label(.|\n)*'generator'"),
        ([("a.png", b"x"), ("a.cls", b"1"), ("b.png", b"x"), ("b.cls", b"2")], "0.tar: b: the label is neither"),
        ([("a.png", b"x"), ("a.cls", b" ")], "the label is blank"),
        ([("a.png", b"x"), ("a.cls", b"\xff")], "not UTF-8"),
        ([("a.png", b"x"), ("a.json", b"{")], r"no JSON(.|\n)*a.json"),
        ([("a.png", b"x"), ("a.json", b"[" * 100_000)], "no JSON"),
        ([("a.png", b"x"), ("a.json", b"[1]")], "is no object"),
        ([("a.png", b"x"), ("a.json", b'{"label": 1, "family": "vae"}')], "unknown family"),
        ([("a.png", b"x"), ("a.json", bytes(2**24 + 1))], "too large"),
        ([("a.png", b"x"), ("a.cls", b"1"), ("b.cls", b"1"), ("a.png", b"y"), ("a.cls", b"1")], "twice, or in pieces"),
        ([("a.png", b"x"), ("a.png", b"y"), ("a.cls", b"1")], "a member comes twice"),
        ([("a.cls", b"1")], "there are no images in .tar archives"),
    ],
)
def test_samples_that_are_not_understood(tmp_path, members, message):
    _tar(tmp_path / "0.tar", members)
    with pytest.raises(InputError, match=message):
        _scan(tmp_path)


def test_one_class_in_words_must_be_named(tmp_path):
    _tar(tmp_path / "0.tar", _samples(["camera"]))
    with pytest.raises(InputError, match="no label is 'sd'"):
        _scan(tmp_path, fake_is="sd")
    assert [each.label for each in _scan(tmp_path, fake_is="sd", real_is="camera")] == [0]


@pytest.mark.parametrize("kept", ["0", "100", "the last image", "all but the end mark", "a header"])
def test_a_shard_that_is_cut_short_is_refused_by_name(tmp_path, kept):
    _tar(tmp_path / "good-000000.tar", _samples())
    _tar(tmp_path / "good-000001.tar", _samples())
    shard = tmp_path / "good-000001.tar"
    with tarfile.open(shard) as archive:
        last = archive.getmembers()[-1]
    sizes = {"the last image": last.offset - 600, "all but the end mark": last.offset + 1024}
    size = sizes[kept] if kept in sizes else last.offset + 100 if kept == "a header" else int(kept)
    shard.write_bytes(shard.read_bytes()[:size])
    with pytest.raises(InputError, match=r"good-000001.tar: the archive is damaged, cut short") as error:
        _scan(tmp_path)
    assert error.value.fix == "copy it again, or write it anew"


def test_a_damaged_header_within_is_not_taken_for_the_end(tmp_path):
    _tar(tmp_path / "0.tar", _samples())
    data = bytearray((tmp_path / "0.tar").read_bytes())
    data[data.index(b"0001.png")] ^= 0xFF
    (tmp_path / "0.tar").write_bytes(data)
    with pytest.raises(InputError, match=r"0.tar: the archive is damaged"):
        _scan(tmp_path)


def test_a_member_of_negative_size_does_not_lead_back_to_the_start(tmp_path):
    _tar(tmp_path / "0.tar", _samples())
    data = bytearray((tmp_path / "0.tar").read_bytes())
    start = data.index(b"0001.png")
    header = tarfile.TarInfo.frombuf(bytes(data[start : start + 512]), "utf-8", "strict")
    header.size = -start - 512
    data[start : start + 512] = header.tobuf(tarfile.GNU_FORMAT)
    (tmp_path / "0.tar").write_bytes(data)
    with pytest.raises(InputError, match="negative size"):
        _scan(tmp_path)


def test_compressed_archives_are_refused_in_words(tmp_path):
    _tar(tmp_path / "a" / "0.tar", _samples())
    with tarfile.open(tmp_path / "0.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "a" / "0.tar")
    with pytest.raises(InputError, match=r"a compressed archive(.|\n)*decompress it"):
        _scan(tmp_path)
    (tmp_path / "0.tar.gz").rename(tmp_path / "misnamed.tar")
    with pytest.raises(InputError, match=r"misnamed.tar: the archive is compressed"):
        _scan(tmp_path)


def test_a_broken_link_and_a_folder_are_no_shards(tmp_path):
    (tmp_path / "0.tar").symlink_to("gone.tar")
    with pytest.raises(InputError, match="a shard is no file"):
        _scan(tmp_path)
    assert not recognises(tmp_path)


def test_only_shards_of_labelled_images_are_recognised(tmp_path):
    assert not recognises(tmp_path)
    _tar(tmp_path / "0.tar", [("real/0.png", _png(0)), ("fake/1.png", _png(1))])
    assert not recognises(tmp_path), "a folder of images that was packed is no WebDataset"
    (tmp_path / "0.tar").write_bytes(b"no archive")
    assert not recognises(tmp_path)
    _tar(tmp_path / "0.tar", _samples())
    assert recognises(tmp_path)
    with pytest.raises(InputError, match="there are no images in"):
        _scan(_tar(tmp_path / "empty/x.txt", []))
