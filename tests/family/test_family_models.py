"""AudioLDM, MusicLDM and Stable Audio through the program, and streams that are given to another model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from noisebook import api
from noisebook.audio.io import read, write
from noisebook.audio.waveform import Waveform
from noisebook.errors import ConfigError, UnsupportedStream, WrongModel
from tests.family.conftest import FAMILY, each, noise


@each("audioldm", "musicldm")
@pytest.mark.parametrize("channels", [1, 2])
def test_models_of_mels_code_mono_and_stereo(folder, load, channels):
    backend, sound = load(folder), noise(0.4, sample_rate=22050, channels=channels)
    stream = api.compress(sound, backend=backend, preset="8")
    back = api.decompress(stream, backend=backend, tail_steps=1)
    assert (back.samples.shape, back.sample_rate) == ((channels, 8820), 22050)
    assert api.read_info(stream, info=backend.info).channel_mode == ("mono" if channels == 1 else "image")


@each("audioldm", "musicldm", "stable_audio")
def test_they_generate_and_transform(folder, load):
    backend = load(folder)
    made = [api.generate(text, backend=backend, seconds=0.5, steps=2, seed=1).sound for text in ("A dog barks", "rain")]
    assert made[0].samples.shape == (backend.info.audio_channels, round(0.5 * backend.info.sample_rate))
    assert not np.allclose(made[0].samples, made[1].samples, atol=1e-4)
    changed = api.transform(noise(0.4), prompt="Solo piano", backend=backend, steps=2, strength=0.5)
    assert (changed.samples.shape, changed.sample_rate) == ((1, 6400), 16000)


@each("audioldm", "stable_audio")
def test_a_generated_stream_is_the_sound_it_was_made_with(folder, load):
    backend = load(folder)
    made = api.generate_stream("rain", backend=backend, seconds=0.5, K=8, steps=3, seed=1)
    assert made.sound.channels == backend.info.audio_channels
    np.testing.assert_array_equal(api.decompress(made.data, backend=backend).samples, made.sound.samples)


def test_a_sound_longer_than_a_window(load, audioldm_folder):
    """5.3 s where the denoiser and the autoencoder hear 5.12 s at a time."""
    backend, sound = load(audioldm_folder), noise(5.3)
    back = api.decompress(api.compress(sound, backend=backend, preset="8"), backend=backend, tail_steps=1)
    assert back.samples.shape == sound.samples.shape
    assert np.isfinite(back.samples).all()


@each("audioldm", "stable_audio")
def test_any_of_them_can_be_calibrated(folder, load):
    backend = load(folder)
    curve = api.calibrate([noise(0.3), noise(0.2, channels=2)], backend=backend)
    assert len(curve.timesteps) == len(curve.errors) == 20
    assert curve != backend.info.curve


# --- stable audio ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "sample_rate", "channels", "mode"),
    [(30000, 44100, 2, "joint"), (30000, 44100, 1, "mono"), (1, 44100, 2, "joint"), (6001, 16000, 2, "joint")],
)
def test_stable_audio_codes_left_and_right_jointly(noisebook, stable_audio_folder, count, sample_rate, channels, mode):
    write("x.wav", Waveform(noise(1, sample_rate=44100, channels=channels).samples[:, :count], sample_rate))
    engine = ("--model", stable_audio_folder, "--device", "cpu")
    assert noisebook("compress", "x.wav", "-p", "300", *engine).status == 0
    shown = json.loads(noisebook("info", "x.ddcm", "--model", stable_audio_folder, "--json").text)
    assert (shown["channel_mode"], shown["intact"]) == (mode, True)
    assert noisebook("decompress", "x.ddcm", "back.wav", *engine).status == 0
    back = read("back.wav")
    assert (back.samples.shape, back.sample_rate) == ((channels, count), sample_rate)


def test_jointly_coded_stereo_costs_as_much_as_mono(load, stable_audio_folder):
    backend = load(stable_audio_folder)
    sizes = {
        channels: len(api.compress(noise(0.4, sample_rate=44100, channels=channels), backend=backend, preset="700"))
        for channels in (1, 2)
    }
    assert sizes[1] == sizes[2]
    apart = noise(0.4, sample_rate=44100, channels=2)
    stream = api.compress(apart, backend=backend, preset="700", channels="dual")  # two latents
    assert api.read_info(stream).channel_mode == "dual"
    assert api.decompress(stream, backend=backend).channels == 2


def test_left_and_right_of_a_joint_stream_differ(load, stable_audio_folder):
    backend = load(stable_audio_folder)
    back = api.decompress(api.compress(noise(0.4, channels=2), backend=backend, preset="300"), backend=backend)
    assert np.abs(back.samples[0] - back.samples[1]).max() > 1e-3


@pytest.mark.parametrize(
    "words",
    [["reconstruct", "song.wav", "x.wav"], ["restore", "song.wav", "x.wav", "--task", "inpaint", "--gap", "0.1:0.2"]],
    ids=["reconstruct", "restore"],
)
def test_what_needs_a_mel_is_refused_in_words(noisebook, stable_audio_folder, sound, words):
    told = noisebook(*words, "--model", stable_audio_folder, "--device", "cpu").told()
    assert "works on waveforms" in told
    assert "audioldm2" in told
    assert not Path("x.wav").exists()


def test_a_joint_stream_is_nothing_for_a_mono_model(load, audioldm_folder):
    """A forged header: the right model, and a channel mode that it does not have."""
    from noisebook.codec.stream import Stream
    from noisebook.coding.container import ChannelMode, Header, pack

    info = load(audioldm_folder).info
    header = Header(info.fingerprint[:2], 4, 16000, ChannelMode.JOINT, 100)
    with pytest.raises(UnsupportedStream, match="model of mono sound"):
        Stream(pack(header, [b""]), info)


@pytest.mark.parametrize("mode", ["IMAGE", "EQUAL"])
def test_one_channel_for_left_and_right_is_nothing_for_a_stereo_model(load, stable_audio_folder, mode):
    from noisebook.codec.stream import Stream
    from noisebook.coding.container import ChannelMode, Header, pack

    backend = load(stable_audio_folder)
    header = Header(backend.info.fingerprint[:2], 4, 16000, ChannelMode[mode], 100)
    with pytest.raises(UnsupportedStream, match="model of stereo sound"):
        Stream(pack(header, [b""]), backend.info)


def test_joint_is_no_choice_of_the_encoder(load, stable_audio_folder):
    with pytest.raises(ConfigError, match="auto, dual, mono are possible"):
        api.compress(noise(0.2, channels=2), backend=load(stable_audio_folder), channels="joint")


# --- streams and other models ------------------------------------------------------------------------------------


def test_every_model_refuses_the_streams_of_the_others_by_name(request, load, backend):
    """And asks no hub for the right one, whatever a stream says."""
    models = [load(request.getfixturevalue(f"{name}_folder")) for name in FAMILY] + [backend]
    streams = [api.compress(noise(0.2), backend=model, preset="8") for model in models]
    for made_by, stream in zip(models, streams, strict=True):
        for model in models:
            if model is not made_by:
                with pytest.raises(WrongModel) as refused:
                    api.decompress(stream, backend=model)
                ids = [info.fingerprint.hex()[:4] for info in (made_by.info, model.info)]
                assert f"was made with model {ids[0]}, and {model.info.name} is {ids[1]}" in str(refused.value)


def test_a_stream_of_an_unknown_model_downloads_nothing(noisebook, audioldm2_folder, load, sound, monkeypatch):
    import huggingface_hub

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a download")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    Path("x.ddcm").write_bytes(api.compress(read(sound), backend=load(audioldm2_folder), preset="8"))
    told = noisebook("decompress", "x.ddcm", "--device", "cpu").told()
    assert "was made with model" in told
    ran = noisebook("info", "x.ddcm")
    assert ran.status == 0
    assert "only the header can be read" in ran.err


def test_a_new_vocoder_plays_the_same_stream(audioldm_folder, tmp_path, load):
    """Of the coding parts the vocoder alone is no part of what a stream means."""
    import shutil

    from noisebook.api.models import load_backend
    from tests.checkpoints import parts

    folder = Path(shutil.copytree(audioldm_folder, tmp_path / "model"))
    parts.hifi_gan().save_pretrained(folder / "vocoder")
    other = load_backend(str(folder), device="cpu")
    stream = api.compress(noise(0.2), backend=load(audioldm_folder), preset="300")
    sounds = [api.decompress(stream, backend=model).samples for model in (load(audioldm_folder), other)]
    assert sounds[0].shape == sounds[1].shape
    assert not np.allclose(sounds[0], sounds[1], atol=1e-4)
