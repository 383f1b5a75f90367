"""The model that ships: it fits the package, follows what it codes, and more bits bring it nearer."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
import pytest
import torch

from noisebook import api
from noisebook.audio import io
from noisebook.audio.level import coding_gain_of
from noisebook.audio.resample import resample
from noisebook.audio.waveform import Waveform, downmix
from noisebook.backends.mini_files import FILES, WEIGHTS
from noisebook.codec.decoder import decode_latent
from noisebook.codec.presets import PRESETS
from noisebook.codec.signal import levelled
from noisebook.codec.timeline import plan_of
from noisebook.coding import container
from noisebook.diffusion.denoisers import window_starts
from noisebook.metrics import log_mel_l1_db

# What a vocoder makes of bands is tested elsewhere, and the encoder listens to several of its sounds.
pytestmark = pytest.mark.usefixtures("quick_vocoder")


@pytest.fixture(scope="module")
def embedded():
    return api.load_backend(device="cpu")


@pytest.fixture(scope="module")
def clips() -> list[Waveform]:
    """Four seconds of music and of speech at 48 kHz, mono, from sources that were never trained on."""
    sounds = (io.read(str(files("noisebook") / "assets" / name)) for name in ("demo.flac", "demo-speech.flac"))
    whole = (resample(sound, 48_000) for sound in sounds)
    return [Waveform(np.ascontiguousarray(downmix(sound).samples[:, 96_000:288_000]), 48_000) for sound in whole]


def mel_error(stream: bytes, reference: Waveform, header: container.Header, backend) -> float:
    mel = backend.features(torch.from_numpy(levelled(reference, coding_gain_of(reference), backend.info.sample_rate)))
    return log_mel_l1_db(mel.numpy(), backend.decode(decode_latent(stream, backend=backend)[1]).numpy())


def test_it_fits_the_package():
    assert sum((WEIGHTS / name).stat().st_size for name in FILES if (WEIGHTS / name).is_file()) <= 60 * 2**20


def test_more_bits_come_nearer_and_all_beat_the_controls(embedded, clips):
    clips = [Waveform(np.ascontiguousarray(clip.samples[:, :122_880]), clip.sample_rate) for clip in clips]
    errors = []
    for preset in ("100", "3000"):
        streams = [api.compress(clip, backend=embedded, preset=preset) for clip in clips]
        for clip, stream, other in zip(clips, streams, reversed(streams), strict=True):
            header, size = container.parse_header(stream)
            errors.append(mel_error(stream, clip, header, embedded))
            if preset == "100":  # where chance has most of a chance
                random = container.pack(header, [np.random.default_rng(0).bytes(len(stream) - size - 3) + b"\0"])
                assert errors[-1] < min(mel_error(control, clip, header, embedded) for control in (other, random))
    for few, many in (errors[::2], errors[1::2]):
        assert few > many
        assert many < 4


def test_the_autoencoder_is_a_ceiling_worth_having(embedded, clips):
    for clip in clips:
        mel = embedded.features(torch.from_numpy(clip.samples))
        assert log_mel_l1_db(mel.numpy(), embedded.decode(embedded.encode(mel)).numpy()) < 2.5


def test_latents_have_the_scale_that_the_schedule_expects(embedded, clips):
    latent = torch.cat([embedded.encode(embedded.features(torch.from_numpy(clip.samples))) for clip in clips], dim=2)
    assert 0.5 < float(latent.std()) < 1.6


def test_every_plan_has_the_promised_steps(embedded):
    for preset in PRESETS:
        steps = len(plan_of(preset.params, embedded.info))
        assert steps == preset.params.steps


def test_long_sound_has_no_seams_at_window_joints(embedded):
    """A steady tone over two windows: the level moves no more where they meet than elsewhere."""
    time = np.arange(12 * 48_000) / 48_000
    tone = Waveform((0.3 * np.sin(2 * np.pi * 440 * time))[None].astype(np.float32), 48_000)
    decoded = api.decompress(api.compress(tone, backend=embedded, preset="300"), backend=embedded).samples[0]
    levels = np.sqrt(np.square(decoded.reshape(-1, 2400)).mean(1))
    jumps = np.abs(np.diff(levels))
    starts = window_starts(300, 256, 64)
    assert len(starts) == 2
    edges = sorted({edge for start in starts[1:] for edge in (start, start + 64)})
    near = np.zeros(len(jumps), bool)
    for edge in edges:
        centre = edge * 1920 // 2400
        near[centre - 3 : centre + 3] = True
    assert jumps[near].mean() < 1.5 * jumps[~near].mean()
