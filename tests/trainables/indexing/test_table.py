import pytest

from trainables.errors import InputError
from trainables.indexing.found import Found
from trainables.indexing.table import GIVEN, Table, read_table


def _write(tmp_path, text):
    file = tmp_path / "manifest.csv"
    file.write_text(text)
    return file


def test_every_column_is_there_and_blank_where_nothing_is_said(tmp_path):
    table = read_table(_write(tmp_path, "path,family\nfake/sd/0.png,dm\nfake/sd/1.png,\n"))
    assert list(table.columns) == list(GIVEN)
    assert table.loc["fake/sd/0.png"].to_dict() == {**dict.fromkeys(GIVEN, ""), "family": "dm"}


def test_paths_with_commas_quotes_and_newlines(tmp_path):
    file = _write(tmp_path, 'path,group\n"fake/sd/a, b.png",x\n"fake/sd/two\nlines ""q"".png",y\n')
    table = Table(file)
    assert table.complete(Found('fake/sd/two\nlines "q".png', 1, "sd")).group == "y"
    assert table.complete(Found("fake/sd/a, b.png", 1, "sd")).group == "x"
    table.finish()


def test_what_is_found_keeps_its_size_and_time(tmp_path):
    table = Table(_write(tmp_path, "path,split\nfake/sd/0.png,fusion\n"))
    found = Found("fake/sd/0.png", 1, "sd", bytes=7, modified=8)
    assert table.complete(found) == found._replace(part="fusion")


def test_listed_files_that_were_not_met_are_counted(tmp_path):
    table = Table(_write(tmp_path, "path\n" + "".join(f"fake/sd/{i}.png\n" for i in range(9))))
    table.complete(Found("fake/sd/3.png", 1, "sd"))
    with pytest.raises(InputError, match="8 listed files") as error:
        table.finish()
    assert error.value.value == [f"fake/sd/{i}.png" for i in (0, 1, 2, 4, 5)]


@pytest.mark.parametrize("text", ["", 'path\n"unclosed\n', "path,split\na,b,c\nd,e,f,g,h\n"])
def test_what_is_no_table_is_refused(tmp_path, text):
    with pytest.raises(InputError, match="not a table of comma-separated values"):
        read_table(_write(tmp_path, text))
