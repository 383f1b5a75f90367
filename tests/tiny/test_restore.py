"""Restoration on a small random model: what is kept to the bit, what comes back, and streams that decode anywhere."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from noisebook import api
from noisebook.audio.damage import FADE, clip, low_pass, silence
from noisebook.audio.waveform import Waveform
from noisebook.codec.encoder import header_of
from noisebook.codec.options import EncodeOptions
from noisebook.codec.segment import SegmentCoder, encode_segment
from noisebook.codec.timeline import Layout, Timeline
from noisebook.diffusion.measurement import Measurement
from noisebook.diffusion.plan import make_step
from noisebook.diffusion.pulling import Course
from noisebook.errors import AudioError, ConfigError
from noisebook.synthesis import restore as restoring
from noisebook.synthesis.damage import damage_of, examined
from noisebook.synthesis.options import DamageOptions, RestoreOptions
from noisebook.synthesis.restore import STRENGTHS, restore, restore_stream, restored_latent

QUICK = RestoreOptions(steps=2)
CODING = EncodeOptions(preset="300")
OPTIONS = {"inpaint": {"gaps": ((0.5, 0.7),)}, "bandwidth": {"cutoff": 3000.0}, "declip": {"threshold": 0.15}}
GAP = DamageOptions(**OPTIONS["inpaint"])


def noise(seconds: float = 1.2, rate: int = 16000, channels: int = 1) -> Waveform:
    drawn = np.random.default_rng(5).normal(0, 0.1, (channels, round(seconds * rate))).astype("f4")
    return Waveform(np.clip(drawn, -0.5, 0.5), rate)


def damaged(task: str, sound: Waveform) -> Waveform:
    rate = sound.sample_rate
    made = {
        "inpaint": lambda: silence(sound, ((rate // 2, rate * 7 // 10),)),
        "bandwidth": lambda: low_pass(sound, 3000),
        "declip": lambda: clip(sound, 0.15),
    }
    return made[task]()


def run(backend, task: str, sound: Waveform, **changes) -> Waveform:
    damage = damage_of(sound, task, DamageOptions(**OPTIONS[task]), backend.info)
    return restore(sound, damage, backend=backend, options=replace(QUICK, **changes))


@pytest.mark.parametrize("task", OPTIONS)
@pytest.mark.parametrize(("rate", "channels", "seconds"), [(16000, 1, 1.2), (44100, 2, 1.0001), (22050, 1, 0.9)])
@pytest.mark.parametrize("keep", [True, False])
def test_shape_and_rate_come_back(backend, task, rate, channels, seconds, keep):
    sound = damaged(task, noise(seconds, rate, channels))
    got = run(backend, task, sound, keep=keep)
    assert got.samples.shape == sound.samples.shape
    assert got.sample_rate == rate
    assert not np.array_equal(got.samples, sound.samples)


@pytest.mark.parametrize("rate", [16000, 44100])
def test_what_is_not_damaged_is_kept_to_the_bit(backend, rate):
    sound = damaged("inpaint", noise(rate=rate, channels=2))
    got, fade = run(backend, "inpaint", sound).samples, round(FADE * rate)
    for part in (slice(None, rate // 2 - fade), slice(rate * 7 // 10 + fade, None)):
        assert np.array_equal(got[:, part], sound.samples[:, part])
    assert (got[:, rate // 2 : rate * 7 // 10] != 0).mean() > 0.99
    sound = damaged("declip", noise(rate=rate, channels=2))
    got, lost = run(backend, "declip", sound).samples, np.abs(sound.samples) >= 0.15
    assert np.array_equal(got[~lost], sound.samples[~lost])
    assert (np.sign(sound.samples) * got >= np.abs(sound.samples))[lost].all()
    assert (got != sound.samples)[lost].mean() > 0.5


def test_the_band_below_a_cutoff_is_kept(backend):
    sound = damaged("bandwidth", noise())
    spectra = [np.fft.rfft(s.samples[0]) for s in (sound, run(backend, "bandwidth", sound))]
    hertz = np.fft.rfftfreq(sound.sample_count, 1 / 16000)
    below, above = hertz < 2700, hertz > 3500
    assert np.abs(spectra[1] - spectra[0])[below].max() < 0.01 * np.abs(spectra[0]).max()
    assert np.abs(spectra[1])[above].mean() > 10 * np.abs(spectra[0])[above].mean()


def test_without_keeping_all_is_synthetic(backend):
    sound = damaged("inpaint", noise())
    assert not np.array_equal(run(backend, "inpaint", sound, keep=False).samples[:, :4000], sound.samples[:, :4000])


def test_a_low_rate_becomes_the_model_s(backend):
    sound = noise(1.00013, 8000)
    got = api.restore(sound, "bandwidth", backend=backend, steps=1).sound
    assert got.sample_rate == 16000
    assert got.sample_count == 2 * sound.sample_count


@pytest.mark.parametrize("task", OPTIONS)
def test_seeds_prompts_and_strengths_matter_and_nothing_else(backend, task):
    sound = damaged(task, noise(0.9))
    first = run(backend, task, sound).samples
    assert np.array_equal(first, run(backend, task, sound).samples)
    changes = [{"seed": 2**64 - 1}, {"prompt": "speech"}, {"strength": 1.0}, {"strength": 0.0}, {"steps": 3}]
    for change in [*changes, {"prompt": "speech", "guidance": 3.0}]:
        assert not np.array_equal(first, run(backend, task, sound, **change).samples), change
    assert np.array_equal(first, run(backend, task, sound, strength=STRENGTHS[task]).samples)


def test_a_reliable_mel_leads_to_its_latent(backend):
    """Of a measurement without loss, nothing is invented; of one that is worth nothing, nothing of it is left."""
    sound = noise()
    damage, info = damage_of(sound, "inpaint", GAP, backend.info), backend.info
    _, form, measurement, guess = examined(sound, damage, backend)
    course = Course(info.schedule, info.curve, 1.0)

    def run_on(weight) -> torch.Tensor:
        known = replace(measurement, weight=torch.full_like(measurement.weight, weight))
        return restored_latent(known, guess, course, form.timeline(info), backend=backend, options=QUICK)

    true = backend.encode(guess)
    assert torch.allclose(run_on(1.0), true, atol=1e-5)
    assert not torch.allclose(run_on(0.0), true, atol=0.5)


def test_steps_are_told_and_untouched_segments_cost_nothing(backend, monkeypatch):
    from noisebook.codec import timeline as timelines

    monkeypatch.setattr(timelines, "SEGMENT_FRAMES", 16)
    monkeypatch.setattr(timelines, "_SHORTEST_SEGMENT", 8)
    sound = damaged("inpaint", noise(4.0))
    damage = damage_of(sound, "inpaint", GAP, backend.info)
    calls: list[tuple[int, int]] = []
    restore(sound, damage, backend=backend, options=QUICK, on_step=lambda *call: calls.append(call))
    assert calls in ([(1, 2), (2, 2)], [(1, 4), (2, 4), (3, 4), (4, 4)])


@pytest.mark.parametrize("change", [{"steps": 0}, {"strength": 1.5}, {"guidance": -1.0}, {"prompt": "qwertz"}])
def test_settings_out_of_range(backend, change):
    with pytest.raises(ConfigError):
        run(backend, "bandwidth", damaged("bandwidth", noise(0.5)), **change)


def test_three_channels_are_refused(backend):
    with pytest.raises(AudioError, match="channels"):
        run(backend, "declip", damaged("declip", noise(channels=3)))


def test_a_target_may_depend_on_the_estimate(backend):
    """A target that is a function is asked at every step, and one that ignores its arguments is as good as a tensor."""
    header = header_of(noise(), EncodeOptions(preset="100"), backend.info)
    layout = Layout.of_header(header, backend.info)
    coder = SegmentCoder(layout.params, layout.plan, backend.info, 1, 12, header.seed)
    target = torch.randn(1, 8, 12, 16, generator=torch.Generator().manual_seed(0))
    start, asked = coder.start_noise(torch.device("cpu")), []

    def aim(step, x0_hat):
        asked.append((step.t, x0_hat))
        return target

    payload, _ = encode_segment(target, coder, backend.denoise, (), start)
    assert payload == encode_segment(aim, coder, backend.denoise, (), start)[0]
    assert [t for t, _ in asked] == [step.t for step in coder.plan]
    assert torch.equal(asked[0][1], backend.denoise(start, asked[0][0]))
    assert payload != encode_segment(lambda step, x0_hat: x0_hat - target, coder, backend.denoise, (), start)[0]


class Pooling:
    """The tiny model with an autoencoder that is exact for mels of constant 4 x 4 patches."""

    def __init__(self, backend) -> None:
        self._backend = backend

    def __getattr__(self, name: str):
        return getattr(self._backend, name)

    def encode(self, mel):
        return torch.nn.functional.avg_pool2d(mel, 4).expand(-1, 8, -1, -1)

    def posterior(self, mel):
        return self.encode(mel), torch.ones(())

    def decode(self, latent):
        return latent.mean(1, keepdim=True).repeat_interleave(4, 2).repeat_interleave(4, 3)


@pytest.fixture
def pooling(backend) -> Pooling:
    return Pooling(backend)


@pytest.fixture
def known() -> Measurement:
    """24 mel frames of which the middle eight are lost, and the rest is constant on patches."""
    generator = torch.Generator().manual_seed(0)
    mel = torch.randn(1, 1, 6, 16, generator=generator).repeat_interleave(4, 2).repeat_interleave(4, 3)
    weight = torch.ones_like(mel)
    weight[:, :, 8:16] = 0
    return Measurement(mel, weight)


@pytest.mark.parametrize("strength", [0.3, 1.0])
def test_what_is_reliable_comes_out_as_it_was_measured(pooling, known, strength):
    info = pooling.info
    timeline, course = Timeline(info, 1, 24 * 160), Course(info.schedule, info.curve, strength)
    found = [
        restored_latent(known, guess, course, timeline, backend=pooling, options=QUICK)
        for guess in (known.features, torch.zeros_like(known.features))
    ]
    for latent in found:
        assert torch.allclose(pooling.decode(latent)[known.weight == 1], known.features[known.weight == 1], atol=1e-4)
    lost = known.weight == 0
    same = torch.allclose(*(pooling.decode(latent)[lost] for latent in found), atol=0.02)
    assert same == (strength == 1)


def test_a_stream_aims_at_the_guess_and_then_at_what_is_reliable(pooling, monkeypatch):
    seen = {}
    monkeypatch.setattr(restoring, "compress_towards", lambda target_of, header, **_: seen.update(target_of=target_of))
    sound = damaged("inpaint", noise())
    damage = damage_of(sound, "inpaint", GAP, pooling.info)
    restore_stream(sound, damage, backend=pooling, options=RestoreOptions(strength=0.5), coding=CODING)
    _, _, measurement, guess = examined(sound, damage, pooling)
    start = Course(pooling.info.schedule, pooling.info.curve, 0.5).start
    aim, x0_hat = seen["target_of"](5, 20), torch.randn(1, 8, 15, 16, generator=torch.Generator().manual_seed(0))
    schedule = pooling.info.schedule
    before, after = (aim(make_step(schedule, t, t - 1, eta=1.0), x0_hat) for t in (start + 1, start))
    assert torch.equal(before, pooling.encode(guess)[:, :, 5:20])
    assert torch.equal(after, measurement.part(20, 80).fitted(x0_hat, pooling))


@pytest.mark.parametrize("task", OPTIONS)
def test_a_stream_says_nothing_of_the_damage_and_decodes(backend, task):
    sound = damaged(task, noise(0.9, 22050, 2))
    made = api.restore_stream(sound, task, backend=backend, preset="300", seed=7, tag="speech", **OPTIONS[task])
    info = api.read_info(made.data, info=backend.info)
    assert (info.seed, info.tag, info.intact, info.channel_mode) == (7, 2, True, "image")
    plain = api.compress(sound, backend=backend, preset="300", seed=7, tag="speech")
    assert len(made.data) - info.image_bytes == len(plain) - api.read_info(plain).image_bytes
    decoded = api.decompress(made.data, backend=backend)
    assert decoded.samples.shape == sound.samples.shape


def test_what_is_lost_has_no_part_in_a_stream_s_choices(backend):
    """Two sounds that differ within a gap alone have one stream."""
    quiet, loud = damaged("inpaint", noise()), noise()
    loud.samples[:, 8000:11200] *= 2
    made = []
    for sound in (quiet, loud):
        damage = damage_of(sound, "inpaint", GAP, backend.info)
        options = RestoreOptions(strength=0.2)
        made.append(restore_stream(sound, damage, backend=backend, options=options, coding=CODING))
    assert made[0] == made[1]


def test_full_scale(backend):
    sound = Waveform(np.float32([[0.5, -1.5]]), 8000)
    lowered, gain = api.within_full_scale(sound)
    assert gain == -4.0
    assert 0.9 < np.abs(lowered.samples).max() <= 1
    same, none = api.within_full_scale(lowered)
    assert (same, none) == (lowered, 0.0)


def test_unknown_words_are_told(backend):
    made = api.restore(damaged("declip", noise(0.5)), "declip", backend=backend, steps=1, prompt="sombre music")
    assert made.unknown == ("sombre",)
    assert made.damage.threshold == pytest.approx(0.15, abs=1e-3)
