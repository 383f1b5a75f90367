"""The models on a machine, and which of them made a stream."""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from noisebook import api
from noisebook.audio.waveform import Waveform
from noisebook.backends import installed, mini_files
from noisebook.backends.installed import InstalledModel, find, install, models_folder
from noisebook.diffusion import released
from noisebook.diffusion.released import RELEASED, ReleasedModel
from noisebook.errors import ModelError, UnsupportedStream, WrongModel


@pytest.fixture(autouse=True)
def embedded(tiny_model, tmp_path, monkeypatch):
    """The small model in the place of the embedded one, and an empty folder of models."""
    monkeypatch.setattr(mini_files, "WEIGHTS", tiny_model)
    monkeypatch.setenv("NOISEBOOK_MODELS", str(tmp_path / "models"))
    installed._warn.cache_clear()
    return tiny_model


def fingerprint(folder: Path) -> str:
    return mini_files.fingerprint(folder).hex()


def package(folder: Path, monkeypatch: pytest.MonkeyPatch, value: str, code: str) -> None:
    """An installed package `noisebook-sounds` with that entry point, and that code in `noisebook_sounds`."""
    info = folder / "noisebook_sounds-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: noisebook-sounds\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[noisebook.models]\nsounds = {value}\n")
    (folder / "noisebook_sounds").mkdir()
    (folder / "noisebook_sounds" / "__init__.py").write_text(code)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "noisebook_sounds", raising=False)


# --- places ------------------------------------------------------------------------------------------------------


def test_the_embedded_one_alone(embedded):
    assert list(installed.installed()) == [InstalledModel(embedded, fingerprint(embedded), "inside the package")]
    assert find(bytes.fromhex(fingerprint(embedded))[:2]).name == "mini"


def test_a_folder_of_the_user(other_model, tmp_path):
    shutil.copytree(other_model, tmp_path / "models" / "mine")
    found = find(bytes.fromhex(fingerprint(other_model))[:2])
    assert (found.folder, found.name, found.embedded) == (
        tmp_path / "models" / "mine",
        fingerprint(other_model)[:8],
        False,
    )


def test_where_the_folder_of_the_user_is(monkeypatch, tmp_path):
    assert models_folder() == tmp_path / "models"
    monkeypatch.delenv("NOISEBOOK_MODELS")
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert models_folder() == Path("/data/noisebook/models")
    monkeypatch.delenv("XDG_DATA_HOME")
    assert models_folder() == Path.home() / ".local/share/noisebook/models"


@pytest.mark.parametrize("value", ["noisebook_sounds:FOLDER", "noisebook_sounds"])
def test_a_package(other_model, tmp_path, monkeypatch, value):
    code = f"from pathlib import Path\nFOLDER = Path({str(other_model)!r})\n"
    package(tmp_path / "site", monkeypatch, value, code)
    shutil.copytree(other_model, tmp_path / "site" / "noisebook_sounds", dirs_exist_ok=True)
    found = find(bytes.fromhex(fingerprint(other_model))[:2])
    assert found.source == "package noisebook-sounds"
    assert found.folder == (other_model if ":" in value else tmp_path / "site" / "noisebook_sounds")


def test_an_entry_point_that_fails_is_told_once_and_skipped(embedded, other_model, tmp_path, monkeypatch, caplog):
    package(tmp_path / "site", monkeypatch, "noisebook_sounds:FOLDER", "1 / 0")
    shutil.copytree(other_model, tmp_path / "models" / "mine")
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert find(bytes.fromhex(fingerprint(other_model))[:2]).folder == tmp_path / "models" / "mine"
    (record,) = caplog.records
    assert "package noisebook-sounds: entry point sounds of noisebook.models fails: ZeroDivision" in record.getMessage()


def test_folders_that_hold_no_model_are_told_and_skipped(embedded, tmp_path, caplog):
    for name, content in (("a", b"pickled"), ("b", None)):
        (tmp_path / "models" / name).mkdir(parents=True)
        if content:
            for file in mini_files.FILES:
                (tmp_path / "models" / name / file).write_bytes(content)
    (tmp_path / "models" / ".partial").mkdir()
    (tmp_path / "models" / "notes.txt").write_text("no folder")
    assert [model.folder for model in installed.installed()] == [embedded]
    first, second = (record.getMessage() for record in caplog.records)
    assert "is not a safetensors file" in first
    assert mini_files.FILES[0] in second


def test_a_file_that_goes_is_noticed_though_the_fingerprint_is_remembered(other_model, tmp_path, caplog):
    folder = Path(shutil.copytree(other_model, tmp_path / "models" / "mine"))
    assert len(list(installed.installed())) == 2
    (folder / mini_files.FILES[-1]).unlink()
    assert len(list(installed.installed())) == 1
    assert mini_files.FILES[-1] in caplog.text


def test_fingerprints_are_computed_once_and_again_for_a_changed_file(other_model, tmp_path, monkeypatch):
    folder = Path(shutil.copytree(other_model, tmp_path / "models" / "mine"))
    list(installed.installed())
    calls, compute = [], mini_files.model_info
    monkeypatch.setattr(mini_files, "model_info", lambda where: calls.append(where) or compute(where))
    list(installed.installed())
    assert calls == []
    (folder / mini_files.FILES[0]).touch()
    list(installed.installed())
    assert calls == [folder]


def test_looking_loads_no_torch(embedded, tmp_path):
    look = "from noisebook.backends.installed import installed; list(installed())"
    code = f"import sys; {look}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


# --- which one ---------------------------------------------------------------------------------------------------


def test_none_that_fits_says_which_were_looked_at(embedded, other_model, tmp_path):
    shutil.copytree(other_model, tmp_path / "models" / "mine")
    with pytest.raises(WrongModel) as raised:
        find(b"\x00\x01")
    told = str(raised.value)
    assert told.startswith("the stream was made with model 0001, which is not here; looked at: ")
    for folder in (embedded, tmp_path / "models" / "mine"):
        assert str(folder) in told
        assert fingerprint(folder)[:8] in told
    assert "noisebook models --install FOLDER" in told


def test_a_released_model_is_refused_by_its_name_and_with_what_it_wants(bands, other_model):
    first = RELEASED[0]
    with pytest.raises(WrongModel) as raised:
        find(bytes.fromhex(first.fingerprint)[:2])
    told = f"made with model {first.fingerprint[:8]} (mini of noisebook 0.1, the 16 kHz model: it takes {first.wants})"
    assert told in str(raised.value)


def test_a_model_that_was_given_is_told_of_a_released_one_too(bands, other_model, monkeypatch):
    sound = Waveform.of([0.1, 0.2] * 500, 16000)
    data = api.compress(sound, backend=api.load_backend(str(other_model)), preset="8")
    row = ReleasedModel(fingerprint(other_model), "large", "7.5", 48000, "the package noisebook-large")
    monkeypatch.setattr(released, "RELEASED", (row,))
    with pytest.raises(WrongModel, match=r"large of noisebook 7\.5, the 48 kHz model: it takes the package noisebook-"):
        api.decompress(data, backend=bands)


def test_two_that_begin_alike_are_not_guessed_between(embedded, monkeypatch):
    alike = [InstalledModel(Path(name), f"0001{name * 60}", "here") for name in "ab"]
    monkeypatch.setattr(installed, "installed", lambda: iter(alike))
    with pytest.raises(WrongModel, match=r"several begin so: 0001aaaa .* 0001bbbb .* --model"):
        find(b"\x00\x01")
    monkeypatch.setattr(installed, "installed", lambda: iter([alike[0], alike[0]]))  # one model in two places
    assert find(b"\x00\x01") == alike[0]


def test_released_models_can_be_told_apart():
    starts = [model.fingerprint[:4] for model in RELEASED]
    assert len(set(starts)) == len(starts)
    assert all(len(bytes.fromhex(model.fingerprint)) == 32 for model in RELEASED)


def test_the_package_itself_has_no_model_that_begins_as_a_released_one(monkeypatch):
    monkeypatch.undo()
    own = fingerprint(mini_files.WEIGHTS)
    assert all(model.fingerprint == own or model.fingerprint[:4] != own[:4] for model in RELEASED)


# --- decoding ----------------------------------------------------------------------------------------------------


def test_streams_are_decoded_by_the_model_that_made_them(bands, other_model, tmp_path):
    sound = Waveform.of([0.1, -0.2, 0.3] * 800, 16000)
    other = api.load_backend(str(other_model), device="cpu")
    streams = [api.compress(sound, backend=one, preset="300") for one in (bands, other)]
    assert api.find_model(streams[0]) == api.EMBEDDED
    with pytest.raises(WrongModel, match="which is not here"):
        api.decompress(streams[1])
    api.install_model(other_model)
    assert api.model_info(api.find_model(streams[1])).fingerprint == other.info.fingerprint
    for data, one in zip(streams, (bands, other), strict=True):
        expected = api.decompress(data, backend=one).samples
        assert (api.decompress(data).samples == expected).all()
        for blocks in (api.play(data), api.decompress_to_blocks(data).blocks):
            assert (np.concatenate([block.samples for block in blocks], axis=1) == expected).all()


def test_a_version_that_cannot_be_read_is_told_before_any_model(embedded):
    with pytest.raises(UnsupportedStream, match="version"):
        api.find_model(bytes([0xDD, 0xC0]) + bytes(20))


def test_a_model_by_its_fingerprint(other_model):
    api.install_model(other_model)
    name = fingerprint(other_model)[:8]
    assert api.model_info(name).fingerprint.hex() == fingerprint(other_model)
    with pytest.raises(ModelError, match="fingerprint of an installed one"):
        api.model_info("0" * 8)


# --- installing --------------------------------------------------------------------------------------------------


def test_installing_copies_the_files_of_the_model_and_nothing_else(other_model, tmp_path):
    source = Path(shutil.copytree(other_model, tmp_path / "source"))
    (source / "more.pkl").write_bytes(b"no")
    model = api.install_model(source)
    assert model.folder == tmp_path / "models" / fingerprint(other_model)[:16]
    assert sorted(path.name for path in model.folder.iterdir()) == sorted(path.name for path in other_model.iterdir())
    assert list((tmp_path / "models").iterdir()) == [model.folder]
    assert api.install_model(str(source)) == model  # again: nothing to do


def test_the_embedded_model_needs_no_installing(embedded, tmp_path):
    assert install(embedded).embedded
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize("other", ["nowhere", "empty", "damaged", "checkpoint"])
def test_what_is_no_model_is_not_installed(other_model, tmp_path, other):
    folder = tmp_path / other
    if other == "damaged":
        shutil.copytree(other_model, folder)
        path = folder / mini_files.FILES[1]
        path.write_bytes(path.read_bytes()[:-100])
    elif other != "nowhere":
        folder.mkdir()
    if other == "checkpoint":
        (folder / "model_index.json").write_text("{}")
    with pytest.raises(ModelError):
        api.install_model(folder)
    assert not (tmp_path / "models").exists()


def test_a_model_that_streams_could_not_tell_from_another_is_not_installed(other_model, monkeypatch):
    row = ReleasedModel(fingerprint(other_model)[:4] + "0" * 60, "large", "7.5", 48000, "luck")
    monkeypatch.setattr(installed, "RELEASED", (row,))
    with pytest.raises(ModelError, match=r"begins as .*0000 of large of noisebook 7\.5"):
        install(other_model)


def test_a_place_that_cannot_be_written_to(other_model, tmp_path):
    (tmp_path / "models").write_text("a file")
    with pytest.raises(ModelError, match="cannot be written"):
        install(other_model)
