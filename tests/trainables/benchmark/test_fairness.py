"""Nothing but the traces tells real from fake: not size, quality, colour, size of the file or its metadata."""

import io

import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from trainables.benchmark.images import ImageSpec, make_image
from trainables.benchmark.presets import PRESETS
from trainables.contract import Split

COUNT = 400
GENERATORS = ("tconv", "nearest", "bilinear", "latent8")


def _files(preset: str, generator: str | None) -> list[bytes]:
    cameras = PRESETS[preset].cameras[Split.TRAIN]
    specs = [ImageSpec(generator, cameras[i % len(cameras)], Split.TRAIN, i) for i in range(COUNT)]
    return [make_image(spec, PRESETS[preset], seed=11) for spec in specs]


def _shortcuts(file: bytes) -> list[float]:
    """Log size of the file, mean of the quantisation tables (JPEG quality), mean colour."""
    image = Image.open(io.BytesIO(file))
    tables = [level for table in image.quantization.values() for level in table]
    return [np.log(len(file)), np.log(np.mean(tables)), *np.asarray(image).mean(axis=(0, 1))]


@pytest.fixture(scope="module", params=["demo", "ranking"])
def files(request):
    return {name: _files(request.param, name) for name in (None, *GENERATORS)}


@pytest.mark.parametrize("generator", GENERATORS)
def test_file_size_quality_and_colour_do_not_tell_real_from_fake(files, generator):
    features = np.array([_shortcuts(file) for name in (None, generator) for file in files[name]])
    labels = np.repeat([0, 1], COUNT)
    model = make_pipeline(StandardScaler(), LogisticRegression())
    for columns in ([0], [1], [2, 3, 4], [0, 1, 2, 3, 4]):
        auroc = cross_val_score(model, features[:, columns], labels, cv=5, scoring="roc_auc").mean()
        assert auroc == pytest.approx(0.5, abs=0.08), columns


def test_every_file_has_the_same_form(files):
    forms = set()
    for file in (file for of_class in files.values() for file in of_class[:50]):
        image = Image.open(io.BytesIO(file))
        forms.add((image.format, image.mode, image.size, image.info.get("jfif_density"), len(image.getexif())))
    assert len(forms) == 1


def test_the_classifier_would_find_a_shortcut_if_there_were_one(files):
    features = np.array([_shortcuts(file) for file in files[None]])
    leaky = np.concatenate([features, features + np.array([0.2, 0, 0, 0, 0])])
    model = make_pipeline(StandardScaler(), LogisticRegression())
    assert cross_val_score(model, leaky, np.repeat([0, 1], COUNT), cv=5, scoring="roc_auc").mean() > 0.6
