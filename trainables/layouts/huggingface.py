"""A folder made by Hugging Face `datasets` with ``save_to_disk``: Arrow tables with a column of images.

::

    dataset_dict.json            or, of a data set without splits:   state.json
    train/                                                           dataset_info.json
        state.json, dataset_info.json                                data-00000-of-00001.arrow
        data-00000-of-00001.arrow
    test/…

The tables are memory-mapped, and nothing else of the data set is read: no code of it is run. Its splits train,
validation and test fix the images' parts; splits of other names fix none. Columns ``family``, ``source``, ``split``,
``group`` and ``channel`` are read where there are any; without a generator, images are called ``real`` and ``fake``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainables.errors import InputError, nearest
from trainables.indexing.found import Found
from trainables.indexing.labelling import Labelled, Polarity, labelled_image, plain, published_part_of

if TYPE_CHECKING:
    import pyarrow as pa

_OPTIONAL = ("family", "source", "split", "group", "channel")


class Config(Labelled):
    """Which columns are meant. Of a column of classes, ``fake_is`` may be the position or the name of one.

    Attributes:
        image: column of images; if not given, the only one of that kind.
        label: column of labels.
        generator: column of generators, and of sources of real images; if not given, ``generator`` if there is one.
    """

    image: str | None = None
    label: str = "label"
    generator: str | None = None


def recognises(root: Path) -> bool:
    """Whether the folder holds what ``save_to_disk`` leaves there."""
    return (root / "dataset_dict.json").is_file() or (
        (root / "state.json").is_file() and (root / "dataset_info.json").is_file()
    )


def scan(config: Config, root: Path) -> Iterator[Found]:
    """Every row of every table, in their order.

    Raises:
        InputError: the folder is not of `datasets`; a table is damaged or cut short; a column is missing or of a
            wrong type; a label is not one of two; images are only named, and not in the table.
    """
    polarity = None
    for folder, part in _parts(root):
        for file in _tables(folder):
            columns = _Columns(config, file)
            polarity = polarity or _polarity(config, columns.classes, file)
            yield from _read_table(root, file, columns, polarity, part)
    if polarity is None:
        raise InputError("the data set has no tables", where=str(root), fix="save it again with `save_to_disk`")
    try:
        polarity.finish()
    except InputError as error:
        raise error.at(str(root)) from None


def _parts(root: Path) -> Iterator[tuple[Path, str]]:
    """Folders of tables, each with the part that its images are of."""
    whole = root / "dataset_dict.json"
    if not whole.is_file():
        yield root, ""
        return
    names = _json(whole).get("splits")
    for name in names if isinstance(names, list) else []:
        yield root / _plain_name(name, whole), published_part_of(name)


def _tables(folder: Path) -> Iterator[Path]:
    state = folder / "state.json"
    listed = _json(state).get("_data_files")
    for each in listed if isinstance(listed, list) else []:
        name = _plain_name(each.get("filename") if isinstance(each, dict) else each, state)
        if not name.endswith(".arrow"):
            raise InputError("a table's name ends in .arrow", where=str(state), value=name)
        yield folder / name


class _Columns:
    """What is read of a table.

    Attributes:
        image, label: names of columns.
        others: names of columns, by what they say of an image.
        classes: names of the labels 0, 1…; none if labels are written as they are.
    """

    def __init__(self, config: Config, file: Path) -> None:
        from trainables.indexing import arrow

        schema = arrow.schema(file)
        features = arrow.features(schema)
        self.image = _image_column(config, schema, features, file)
        self.label = _known(config.label, "label", schema, file)
        generator = "generator" if config.generator is None else _known(config.generator, "generator", schema, file)
        wanted = {"generator": generator} | {name: name for name in _OPTIONAL}
        self.others = {ours: theirs for ours, theirs in wanted.items() if theirs in schema.names}
        self._classes = {name: _classes(features.get(name, {})) for name in (self.label, *self.others.values())}

    @property
    def classes(self) -> tuple[str, ...]:
        return self._classes[self.label]

    @property
    def all(self) -> list[str]:
        return list(dict.fromkeys((self.image, self.label, *self.others.values())))

    def values(self, batch: pa.RecordBatch, name: str) -> list[object]:
        """Of one column, classes by their names."""
        values = batch.column(name).to_pylist()
        names = dict(enumerate(self._classes[name]))
        # A class without a name, as -1 is in data sets that hide their labels, stays a number.
        return [names.get(value, value) for value in values] if names else values


def _polarity(config: Config, classes: tuple[str, ...], file: Path) -> Polarity:
    """By the names of the classes, where they have names and the study gives positions."""
    try:
        named: dict[str, Any] = {
            key: classes[int(given)] if plain(given).isdigit() and int(given) < len(classes) else given
            for key, given in (("fake_is", config.fake_is), ("real_is", config.real_is))
            if given is not None
        }
        if len(classes) == 2 and "real_is" not in named:
            named |= {"real_is": next((name for name in classes if plain(name) != plain(named["fake_is"])), None)}
        return Polarity(Labelled(**named))
    except InputError as error:
        raise error.at(f"{file}: classes {list(classes)}" if classes else str(file)) from None


def _read_table(root: Path, file: Path, columns: _Columns, polarity: Polarity, part: str) -> Iterator[Found]:
    from trainables.indexing import arrow
    from trainables.indexing.content import row_path

    place, modified, row = file.relative_to(root).as_posix(), file.stat().st_mtime_ns, 0
    for batch in arrow.batches(file, columns.all):
        sizes = _sizes(batch.column(columns.image), file, row)
        labels = columns.values(batch, columns.label)
        others = {ours: columns.values(batch, theirs) for ours, theirs in columns.others.items()}
        for i, (size, label) in enumerate(zip(sizes, labels, strict=True)):
            told = {name: values[i] for name, values in others.items()}
            path = row_path(place, columns.image, row)
            try:
                yield labelled_image(
                    path, polarity.label(label), told, size=size, modified=modified, offset=row, part=part
                )
            except InputError as error:
                raise error.at(f"{file}: row {row}") from None
            row += 1


def _sizes(images: pa.Array, file: Path, first: int) -> list[int]:
    """Bytes of each image of a batch; 0 for a row without one, which is found out when it is read."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from trainables.indexing.arrow import encoded

    data = encoded(images)
    if data.null_count and pa.types.is_struct(images.type) and images.type.get_field_index("path") >= 0:
        named = pc.and_(data.is_null(), pc.struct_field(images, "path").is_valid())
        if (at := pc.index(named, True).as_py()) >= 0:
            fix = "embed the images: save the data set again with `save_to_disk` where the files are"
            found = images[at].as_py()["path"]
            problem = "the table names an image and does not hold it"
            raise InputError(problem, where=f"{file}: row {first + at}", value=found, fix=fix)
    return [size or 0 for size in pc.binary_length(data).to_pylist()]


def _image_column(config: Config, schema: pa.Schema, features: Mapping[str, Mapping[str, Any]], file: Path) -> str:
    from trainables.indexing.arrow import holds_encoded

    if config.image is not None:
        name = _known(config.image, "image", schema, file)
        if not holds_encoded(schema.field(name).type):
            found = str(schema.field(name).type)
            raise InputError(f"the column {name!r} holds no encoded images", where=str(file), value=found)
        return name
    able: list[str] = [each.name for each in schema if holds_encoded(each.type)]
    said = [name for name in able if features.get(name, {}).get("_type") == "Image"]
    names = said or able
    if len(names) != 1:
        problem = "several columns may hold images" if names else "no column holds encoded images"
        raise InputError(problem, where=str(file), value=names or schema.names, fix="name it in the layout: `image`")
    return names[0]


def _known(name: str, key: str, schema: pa.Schema, file: Path) -> str:
    if name not in schema.names:
        fix = f"name the column in the layout: `{key}`; {nearest(name, schema.names)}"
        raise InputError(f"the table has no column {name!r}", where=str(file), value=schema.names, fix=fix)
    return name


def _classes(feature: Mapping[str, Any]) -> tuple[str, ...]:
    names = feature.get("names") if feature.get("_type") == "ClassLabel" else None
    return tuple(map(str, names)) if isinstance(names, list) else ()


def _plain_name(name: object, file: Path) -> str:
    """A name that leads nowhere else."""
    if not isinstance(name, str) or name in ("", ".", "..") or "/" in name or "\0" in name:
        raise InputError("a file or folder of the data set has no plain name", where=str(file), value=name)
    return name


def _json(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        fix = "save the data set again with `save_to_disk`"
        raise InputError("the file is absent or no JSON", where=str(file), value=str(error), fix=fix) from None
    return found if isinstance(found, dict) else {}
