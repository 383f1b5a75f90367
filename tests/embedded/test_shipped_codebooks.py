"""The codebooks inside the package: whole, small, and of the embedded model."""

from __future__ import annotations

from pathlib import Path

import pytest

from noisebook import api
from noisebook.errors import ConfigError, ModelError, WrongCodebook
from noisebook.quantizers.config import METHODS, UNITS
from noisebook.quantizers.files import FOLDER
from training.codebooks import BOOKS


@pytest.mark.parametrize("name", BOOKS)
def test_each_is_what_its_name_says_and_of_the_embedded_model(name):
    book = api.load_codebook(name, info=api.model_info())
    assert f"{book.config.unit}-{book.config.method}" == name
    assert {key: getattr(book.config, key) for key in BOOKS[name]} == BOOKS[name]
    assert api.codebook_by_fingerprint(book.fingerprint[:4]).fingerprint == book.fingerprint
    assert book.record["nmse_db"] < (1 if book.config.method in ("gaussian", "uniform") else -1) + 2 * (
        book.config.unit == "clip"
    )


def test_all_methods_and_units_are_there_and_small():
    assert set(api.codebook_names()) == set(BOOKS)
    assert {name.split("-")[1] for name in BOOKS} == set(METHODS)
    assert {name.split("-")[0] for name in BOOKS} == set(UNITS)
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 6_000_000


def test_names_and_fingerprints_that_are_not_there(tiny_model):
    with pytest.raises(ModelError, match="frame-residual"):
        api.load_codebook("frame-magic")
    with pytest.raises(ModelError, match="fitted for"):
        api.load_codebook("frame-kmeans", info=api.model_info(str(tiny_model)))
    with pytest.raises(ConfigError, match="unit"):
        api.load_codebook(Path(FOLDER / "frame-kmeans.safetensors"), unit="clip")
    with pytest.raises(WrongCodebook):
        api.codebook_by_fingerprint(bytes(4))
