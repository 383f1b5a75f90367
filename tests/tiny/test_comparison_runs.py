"""A comparison on a small random model: nothing is done twice, failures are rows, and the codec is the codec."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from noisebook import api
from noisebook.audio.io import write
from noisebook.audio.waveform import Waveform
from noisebook.codec.decoder import decode_latent
from noisebook.codec.encoder import target_latent
from noisebook.comparison.catalogue import catalogue
from noisebook.comparison.methods import Coded, Job, Method, choose
from noisebook.comparison.runs import Run, model_identity
from noisebook.errors import AudioError, ConfigError
from tests.mels import MelModel


class Counting:
    """A method that counts its runs: the sound, late and quieter, and every other sound of another length."""

    def __init__(self, **fields: object) -> None:
        self.runs, self.fails = 0, False
        row = {"label": "Counting", "family": "codec", "series": "counting", "command": "count IN", "suffix": ".bin"}
        self.method = Method(**{"id": "counting", "run": self, **row, **fields})  # type: ignore[arg-type]

    def __call__(self, job: Job) -> Coded:
        self.runs += 1
        if self.fails:
            raise AudioError("it does not\n work")
        return Coded(replace(job.sound, samples=job.sound.samples * np.float32(0.5)), b"1234", 0.1, 0.2)


@pytest.fixture
def clips(tmp_path: Path, chirp: np.ndarray) -> list[Path]:
    paths = [tmp_path / "music-a.wav", tmp_path / "speech-b.wav"]
    for path, samples in zip(paths, (chirp, chirp[:, ::-1]), strict=True):
        write(path, Waveform(np.ascontiguousarray(samples), 16000))
    return paths


def run_of(clips: list[Path], out: Path, *methods: Method, backend: object = None, **more: object) -> Run:
    options = {"metrics": ["snr_db"], "verdicts": False, "methods": ["all"], **more}
    return Run(clips, out, catalogue=methods, load_backend=lambda: backend, **options)  # type: ignore[arg-type]


def test_a_row_says_everything(clips, tmp_path):
    first, second = run_of(clips, tmp_path / "out", Counting().method, verdicts=True).rows()
    assert (first["input"], first["method"], first["error"]) == ("music-a", "counting", None)
    assert (first["bytes"], first["bit_per_second"]) == (4, round(32 / 1.5, 2))
    assert (first["encode_seconds"], first["decode_seconds"], first["lag_samples"]) == (0.1, 0.2, 0)
    assert first["gain_db"] == pytest.approx(-6.02, abs=0.01)
    assert first["metrics"]["snr_db"] == pytest.approx(6.02, abs=0.01)
    assert (tmp_path / "out" / first["file"]).is_file()
    assert (tmp_path / "out" / first["stream"]).read_bytes() == b"1234"
    assert first["verdict"]["score"] > 0.9
    assert second["input"] == "speech-b"


def test_nothing_is_done_twice(clips, tmp_path):
    counting, told = Counting(), []
    rows = run_of(clips, tmp_path / "out", counting.method).rows(lambda *steps: told.append(steps))
    assert (counting.runs, told) == (2, [(1, 2), (2, 2)])
    assert run_of(clips, tmp_path / "out", counting.method).rows() == rows
    assert counting.runs == 2
    more = run_of(clips, tmp_path / "out", counting.method, metrics=["snr_db", "mel_db_mae"], verdicts=True).rows()
    assert counting.runs == 2  # judged only
    assert more[0]["metrics"].keys() == {"snr_db", "mel_db_mae"}
    assert more[0]["verdict"]
    run_of(clips, tmp_path / "out", counting.method, force=True).rows()
    assert counting.runs == 4


@pytest.mark.parametrize("change", ["command", "version", "input", "length"])
def test_what_has_changed_is_done_again(clips, tmp_path, change):
    counting = Counting()
    run_of(clips, tmp_path / "out", counting.method).rows()
    if change in ("command", "version"):
        run_of(clips, tmp_path / "out", replace(counting.method, **{change: "new"})).rows()
        assert counting.runs == 4
    elif change == "length":
        run_of(clips, tmp_path / "out", counting.method, limit_seconds=1).rows()
        assert counting.runs == 4
    else:
        write(clips[0], Waveform(np.full((1, 9000), 0.1, np.float32), 16000), overwrite=True)
        rows = run_of(clips, tmp_path / "out", counting.method).rows()
        assert counting.runs == 3
        assert rows[0]["bit_per_second"] == round(32 * 16000 / 9000, 2)


def test_a_failure_is_a_row_and_tried_again(clips, tmp_path):
    counting = Counting()
    counting.fails = True
    rows = run_of(clips, tmp_path / "out", counting.method).rows()
    assert [row["error"] for row in rows] == ["it does not work"] * 2
    assert (rows[0]["file"], rows[0]["metrics"], rows[0]["bytes"]) == (None, {}, None)
    counting.fails = False
    assert [row["error"] for row in run_of(clips, tmp_path / "out", counting.method).rows()] == [None, None]


def test_another_clip_is_another_key(clips, tmp_path):
    counting = Counting(needs_other=True)
    run_of(clips, tmp_path / "out", counting.method).rows()
    with pytest.raises(ConfigError, match="counting: needs two inputs"):
        run_of(clips[:1], tmp_path / "out", counting.method)
    write(clips[1], Waveform(np.full((1, 9000), 0.1, np.float32), 16000), overwrite=True)
    run_of(clips, tmp_path / "out", counting.method).rows()
    assert counting.runs == 4


def test_a_delay_is_measured_once_and_taken_back(clips, tmp_path):
    class Late(Counting):
        def __call__(self, job: Job) -> Coded:
            self.runs += 1
            return Coded(replace(job.sound, samples=np.pad(job.sound.samples, ((0, 0), (333, 50)))), b"")

    late = Late(delayed=True)
    rows = run_of(clips, tmp_path / "out", late.method, metrics=["mel_db_mae"]).rows()
    assert late.runs == 3  # both clips and the probe
    assert [row["lag_samples"] for row in rows] == [333, 333]
    assert rows[0]["metrics"]["mel_db_mae"] == pytest.approx(0, abs=1e-3)
    assert rows[0]["part"] == [0, 72000]


def test_skipped_methods_are_kept_apart(clips, tmp_path):
    counting = Counting()
    gone = replace(counting.method, id="gone", missing="no such thing")
    run = run_of(clips, tmp_path / "out", counting.method, gone)
    assert ([m.id for m in run.methods], [m.id for m in run.skipped]) == (["counting"], ["gone"])
    with pytest.raises(ConfigError, match="gone: no such thing"):
        run_of(clips, tmp_path / "out2", gone)
    assert not (tmp_path / "out2").exists()


def test_our_own_methods_are_those_of_the_facade(backend, chirp):
    job = Job(Waveform(chirp, 16000), backend=backend)
    by_id = {method.id: method for method in catalogue(rates=(300, 450), prompt="music")}
    coded = by_id["ddcm-300"].run(job)
    assert coded.data == api.compress(job.sound, backend=backend, preset="300")
    assert by_id["ddcm-450"].run(job).data == api.compress(job.sound, backend=backend, bitrate=450)
    assert np.array_equal(coded.sound.samples, api.decompress(coded.data, backend=backend).samples)
    matched = api.reconstruct(job.sound, backend=backend).waveform
    for name in ("autoencoder", "reconstruct-matched"):
        assert np.allclose(by_id[name].run(job).sound.samples, matched.samples, atol=1e-6)
    for name in ("vocoder", "transform-guided"):
        assert by_id[name].run(job).sound.samples.shape == chirp.shape


def test_residuals_are_the_errors_of_the_latent(backend, chirp):
    method = choose(catalogue(rates=(3000,)), ["ddcm"])[0]
    coded = method.run(Job(Waveform(chirp, 16000), backend=backend))
    header, latent = decode_latent(coded.data, backend=backend)
    target = target_latent(Waveform(chirp, 16000), header, backend=backend)
    error = float((latent - target).square().mean() / target.square().mean())
    *steps, decoded = coded.residuals
    assert decoded == pytest.approx(10 * np.log10(error), abs=1e-3)
    assert len(steps) == 17  # of preset 3000
    assert steps[-1] < steps[0]


def test_a_codebook_of_another_model_is_told(backend, clips, tmp_path):
    method = choose(catalogue(), ["vq-frame-residual"])[0]
    rows = run_of(clips, tmp_path / "out", method, backend=backend).rows()
    assert [row["metrics"] for row in rows] == [{}, {}]
    assert all("codebook" in row["error"] for row in rows)


def test_another_vocoder_is_another_model(backend, monkeypatch):
    before = model_identity(backend)
    assert model_identity(MelModel()) == before
    monkeypatch.setattr(backend, "vocode", lambda features, first_frame: 2 * MelModel().vocode(features))
    assert model_identity(backend).partition("-")[0] == before.partition("-")[0]
    assert model_identity(backend) != before


def test_stereo_inputs_are_coded_and_judged_as_stereo(tmp_path, backend, chirp):
    """A method of mono sound is given the mean of both."""
    write(tmp_path / "music-a.wav", Waveform(np.concatenate([chirp, chirp / 4]), 16000))
    write(tmp_path / "music-b.wav", Waveform(chirp, 16000))
    codes = choose(catalogue(rates=(), seed=0, model=None), ["ddcm-1500", "vocoder", "silence"])
    both, one = Counting(id="both").method, Counting(id="one", mono=True).method
    clips = [tmp_path / "music-a.wav", tmp_path / "music-b.wav"]
    rows = run_of(clips, tmp_path / "out", *codes, both, one, backend=backend, metrics=None).rows()
    assert {row["error"] for row in rows} == {None}
    found = {(row["input"], row["method"]): row["metrics"]["image_level_db"] for row in rows}
    assert found["music-a", "both"] == pytest.approx(0, abs=0.1)
    assert found["music-a", "one"] == found["music-a", "silence"] == pytest.approx(12.04, abs=0.1)
    assert found["music-a", "ddcm-1500"] < 2
    assert {value for (name, _), value in found.items() if name == "music-b"} == {None}
