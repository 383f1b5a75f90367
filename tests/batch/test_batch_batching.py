"""Several sounds through one denoiser: the codec's results, fewer calls of the network."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from functools import partial

import numpy as np
import pytest

from noisebook import api
from noisebook.audio.waveform import Waveform
from noisebook.batch.worker import side_by_side
from noisebook.codec.decoder import decode_latent
from noisebook.errors import AudioError, ConfigError
from tests.batch.conftest import tone

pytestmark = pytest.mark.usefixtures("quick_vocoder")


class Counting:
    """A backend that writes down the batch sizes of its denoiser's calls."""

    def __init__(self, backend) -> None:
        self._backend, self.sizes = backend, []

    def denoise(self, x, t, tag=0, condition=None):
        self.sizes.append(len(x))
        return self._backend.denoise(x, t, tag=tag, condition=condition)

    def __getattr__(self, name):
        return getattr(self._backend, name)


def compress(waveform, backend):
    return api.compress(waveform, backend=backend, preset="300")


def together(backend, job, items):
    """The job's results of all items, or its exceptions, through one denoiser."""

    def done(item, share):
        try:
            return job(item, share(backend))
        except Exception as error:
            return error

    return side_by_side([partial(done, item) for item in items])


def test_equal_lengths_share_every_call_and_the_streams_are_the_same(backend):
    sounds = [tone(index) for index in range(4)]
    alone = [compress(sound, backend) for sound in sounds]
    counting = Counting(backend)
    assert together(counting, compress, sounds) == alone
    assert set(counting.sizes) == {4}


def test_other_lengths_are_done_too(backend):
    sounds = [tone(index, count) for index, count in enumerate((700, 3200, 5000, 3200))]
    counting = Counting(backend)
    streams = together(counting, compress, sounds)
    assert streams == [compress(sound, backend) for sound in sounds]
    assert set(counting.sizes) == {1, 2}


def test_long_sounds_of_any_length_share_windows(backend, monkeypatch):
    from dataclasses import replace

    counting = Counting(backend)
    counting.info = replace(backend.info, window_frames=8)
    monkeypatch.setattr("noisebook.diffusion.denoisers._OVERLAP", 2)
    sounds = [tone(0, 8000), tone(1, 11000)]  # 13 and 18 frames: 2 and 3 windows of 8
    streams = together(counting, compress, sounds)
    assert set(counting.sizes) == {5}
    assert streams == [compress(sound, counting) for sound in sounds]


def test_decoded_latents_agree_to_1e_5(backend):
    streams = [compress(tone(index), backend) for index in range(3)]

    def decode(stream, backend):
        return decode_latent(stream, backend=backend)[1]

    for stream, latent in zip(streams, together(backend, decode, streams), strict=True):
        assert float((latent - decode(stream, backend)).abs().max()) < 1e-5


def test_one_that_fails_does_not_hinder_the_others(backend):
    wide = Waveform(np.repeat(tone(0).samples, 3, 0), 16000)
    sounds = [tone(0), wide, tone(1)]
    first, error, last = together(backend, compress, sounds)
    assert isinstance(error, AudioError)
    assert [first, last] == [compress(sound, backend) for sound in (tone(0), tone(1))]


def test_what_the_denoiser_raises_reaches_all_that_asked(backend):
    counting = Counting(backend)

    def fail(x, t, tag=0, condition=None):
        raise ConfigError("no")

    counting.denoise = fail
    for count in (1, 3):
        results = together(counting, compress, [tone(index) for index in range(count)])
        assert [str(result) for result in results] == ["no"] * count


def test_an_interrupt_ends_all(backend, monkeypatch):
    def interrupted(self, timeout=None):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Future, "result", interrupted)
        with pytest.raises(KeyboardInterrupt):
            together(backend, compress, [tone(index) for index in range(3)])
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("batching")]
