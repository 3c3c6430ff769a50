import pytest

from trainables.errors import InputError
from trainables.indexing.found import Found
from trainables.indexing.table import Table


def _write(tmp_path, text):
    file = tmp_path / "manifest.csv"
    file.write_text(text)
    return file


def test_columns_that_are_not_there_say_nothing(tmp_path):
    table = Table(_write(tmp_path, "family,path,caption\ndm,fake/sd/0.png,a cat\n"))
    found = Found("fake/sd/0.png", 1, "sd")
    assert table.complete(found) == found._replace(family="dm")
    table.finish()


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


def test_splits_have_the_names_that_they_have_in_every_table(tmp_path):
    table = Table(_write(tmp_path, "path,split\nfake/sd/0.png,Validation\nfake/sd/1.png, few \n"))
    assert [table.complete(Found(f"fake/sd/{i}.png", 1, "sd")).part for i in range(2)] == ["val", "few"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the table is empty"),
        ('path\n"unclosed\n', "the file is no table of comma-separated values"),
        ("path,split\na,b,c\nd,e,f,g,h\n", "line 2: 3 values under 2 columns"),
        ("path,split,group\na,train,x,\nb,val,y,\n", "line 2: 4 values under 3 columns"),
        ("path,split,group\na,train,x\nb,val\n", "line 3: 2 values under 3 columns"),
        ("path,split,split\na,train,val\n", "two columns have one name"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        Table(_write(tmp_path, text))


def test_a_real_image_of_a_fake_family_is_refused(tmp_path):
    table = Table(_write(tmp_path, "path,family\nreal/coco/0.png,gan\n"))
    with pytest.raises(InputError, match=r"manifest.csv: a real image of family 'gan'"):
        table.complete(Found("real/coco/0.png", 0, "coco"))
