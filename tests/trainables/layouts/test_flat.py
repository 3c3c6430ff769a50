import json

import pandas as pd
import pytest

from tests.trainables.layouts.conftest import plant, said, scanned
from trainables.errors import InputError

FAKE = {"label": 1, "generator": "diffusiondb", "family": "dm"}


def _prompts(tree, part, prompts):
    text = json.dumps({name: {"p": prompt, "se": 1} for name, prompt in prompts.items()})
    (tree / "images" / part / f"{part}.json").write_text(text)


def test_diffusiondb_is_known_by_its_folders(tree):
    assert said(scanned("flat", tree)) == {
        "images/part-000001/a.png": FAKE,
        "images/part-000001/b.png": FAKE,
        "images/part-000002/c.png": FAKE,
    }


def test_images_of_one_prompt_are_one_group(tree):
    _prompts(tree, "part-000001", {"a.png": "A  cat", "b.png": "a dog"})
    _prompts(tree, "part-000002", {"c.png": "a cat "})
    a, b, c = (image.group for image in scanned("flat", tree))
    assert a == c != b
    assert all((a, b, c))


def test_prompts_of_the_table_where_there_is_no_json(tree):
    _prompts(tree, "part-000002", {"c.png": "a cat"})
    rows = {"image_name": ["a.png", "b.png"], "prompt": ["a cat", None], "part_id": [1, 1]}
    pd.DataFrame(rows).to_parquet(tree / "metadata.parquet")
    a, b, c = (image.group for image in scanned("flat", tree))
    assert a == c != ""
    assert b == ""


def test_a_table_of_prompts_that_is_damaged_is_told(tree):
    rows = {"image_name": ["a.png", "b.png"], "prompt": ["a cat", "a dog"]}
    file = tree / "metadata.parquet"
    pd.DataFrame(rows).to_parquet(file)
    data = file.read_bytes()
    file.write_bytes(data[:4] + b"\xff" * 60 + data[64:])  # the columns' names are at the end
    with pytest.raises(InputError, match=r"metadata.parquet: the file is no table of Parquet"):
        scanned("flat", tree)


@pytest.mark.parametrize("text", ["not json", '["a.png"]', '{"a.png": {"prompt": "a cat"}}', '{"a.png": "a cat"}'])
def test_prompts_that_cannot_be_read_are_told(tree, text):
    (tree / "images/part-000001/part-000001.json").write_text(text)
    with pytest.raises(InputError, match="not a table of prompts"):
        scanned("flat", tree)


def test_another_folder_is_what_the_study_says(tmp_path):
    plant(tmp_path, "a.png", "deep/er/b.png")
    assert said(scanned("flat", tmp_path, generator="midjourney")) == {
        "a.png": {"label": 1, "generator": "midjourney"},
        "deep/er/b.png": {"label": 1, "generator": "midjourney"},
    }
    assert said(scanned("flat", tmp_path, generator="laion", label="real"))["a.png"] == {
        "label": 0, "generator": "laion",
    }  # fmt: skip
    assert {image.family for image in scanned("flat", tmp_path, generator="x", family="gan")} == {"gan"}


@pytest.mark.parametrize("label", ["real", "fake"])
def test_another_folder_without_a_name_is_refused(tmp_path, label):
    plant(tmp_path, "a.png")
    with pytest.raises(InputError, match="nothing here says what made these images"):
        scanned("flat", tmp_path, label=label)


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(InputError, match="no images in this folder"):
        scanned("flat", tmp_path, generator="midjourney")
