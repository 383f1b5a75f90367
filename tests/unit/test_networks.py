"""The networks of the embedded model: shapes, how far they see, and that pieces equal the whole."""

from __future__ import annotations

from math import sqrt

import pytest
import torch

from noisebook.audio.mel import MelConfig
from noisebook.backends import mini
from noisebook.codec import signal
from noisebook.codec.layout import Layout
from noisebook.coding.container import Engine
from noisebook.networks.denoiser import Denoiser, DenoiserConfig, x0_from_v
from noisebook.networks.mel_vae import MelVae, MelVaeConfig
from noisebook.networks.vocoder import Vocoder, VocoderConfig
from training.clips import KINDS

FRAMES = 64  # latent frames
ENGINE = Engine(7, 7, 8, 3, 80)


def alive(network: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """With every weight random: layers that start at zero would hide how far a network sees."""
    torch.manual_seed(seed)
    for parameter in network.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def vae() -> MelVae:
    return alive(MelVae(MelVaeConfig(dim=32, hidden=32, scaling_factor=0.7)))  # as many blocks as the real one


@pytest.fixture(scope="module")
def vocoder() -> Vocoder:
    return alive(Vocoder(VocoderConfig(dim=32, hidden=32)))


@pytest.fixture(scope="module")
def denoiser() -> Denoiser:
    return alive(Denoiser(DenoiserConfig(dim=32, hidden=32, blocks=2, heads=2)))


@pytest.fixture(scope="module")
def deep(tmp_path_factory, vae, vocoder, denoiser):
    """A mini backend as narrow as a test needs and as deep as the real one."""
    folder = tmp_path_factory.mktemp("deep")
    curve = {"timesteps": [0, 999], "errors": [0.01, 0.99]}
    for name, network in zip(mini.FILES, (vae, denoiser, vocoder), strict=True):
        mini_save(folder / name, network, {"curve": curve})
    return mini.MiniBackend(folder)


def mini_save(path, network, record):
    from noisebook.backends.checkpoint import save_network

    save_network(path, network, record)


def random_mel(frames: int, batch: int = 1) -> torch.Tensor:
    return -5 + 2.5 * torch.randn(batch, 1, frames, 64, generator=torch.Generator().manual_seed(frames))


def reach(function, x: torch.Tensor, at: int, scale: float) -> tuple[float, float]:
    """How far before and after input frame `at` the output changes, in input frames of `scale` outputs each."""
    changed = x.clone()
    changed[:, :, at] += 3 * torch.randn(changed[:, :, at].shape, generator=torch.Generator().manual_seed(1))
    difference = (function(changed) - function(x)).abs()
    difference = difference.amax((0, 1, 3)) if difference.ndim == 4 else difference.amax(0)
    hit = (difference > 0).nonzero().flatten() / scale
    return at - float(hit[0]), float(hit[-1]) - at


# --- autoencoder -------------------------------------------------------------------------------------------------


def test_vae_shapes(vae):
    mel = random_mel(24, batch=3)
    mean, log_variance = vae.posterior(mel)
    assert mean.shape == log_variance.shape == vae.encode(mel).shape == (3, 8, 6, 16)
    assert vae.decode(mean).shape == mel.shape
    assert log_variance.min() >= -12
    assert log_variance.max() <= 2


def test_scaling_factor_scales_the_latent_and_nothing_else(vae):
    mel = random_mel(16)
    mean = vae.posterior(mel)[0]
    assert torch.equal(vae.encode(mel), mean * 0.7)
    torch.testing.assert_close(vae.decode(vae.encode(mel)), vae.decode_unscaled(mean), rtol=0, atol=1e-4)


def test_patches_are_four_by_four_and_go_back(vae):
    mel = torch.arange(8 * 64, dtype=torch.float32).reshape(1, 1, 8, 64)
    patches = vae._patches(mel)
    assert patches.shape == (1, 2, 16, 16)
    assert torch.equal(patches[0, 1, 3].reshape(4, 4), mel[0, 0, 4:8, 12:16])
    assert torch.equal(vae._unpatch(patches), mel)


def test_skip_path_keeps_latent_cells_over_their_patch():
    """Without the blocks, a latent cell depends on its 4 x 4 patch alone, both ways."""
    vae = MelVae(MelVaeConfig(dim=16, hidden=16)).requires_grad_(False)
    for layer in (vae.encoder_out[1], vae.decoder_out[1]):
        layer.weight.zero_()
    mel = random_mel(16)
    moved = mel.clone()
    moved[0, 0, 5, 30] += 1
    changed = (vae.posterior(moved)[0] - vae.posterior(mel)[0]).abs().amax(1)[0].nonzero()
    assert changed.tolist() == [[1, 7]]
    latent = torch.zeros(1, 8, 4, 16)
    moved = latent.clone()
    moved[0, 3, 2, 9] = 1
    changed = (vae.decode(moved) - vae.decode(latent))[0, 0].nonzero()
    assert changed.amin(0).tolist() == [8, 36]
    assert changed.amax(0).tolist() == [11, 39]


def test_vae_sees_no_further_than_the_margin(vae):
    encoder = reach(lambda mel: vae.encode(mel), random_mel(4 * FRAMES), 128, 1 / 4)
    decoder = reach(vae.decode, torch.randn(1, 8, FRAMES, 16), 32, 4)
    blocks = (vae.config.encoder_blocks, vae.config.decoder_blocks)
    assert max(encoder) / 4 <= 1 + blocks[0] + 1  # in latent frames; within its own token up to one more
    assert max(decoder) <= 1 + blocks[1] + 1
    assert max(decoder) > blocks[1]  # the probe does reach through all the blocks
    assert max(encoder) / 4 <= vae.config.encoder_reach
    assert max(decoder) <= vae.config.decoder_reach


# --- vocoder -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("frames", [1, 2, 4, 37])
def test_vocoder_gives_160_samples_a_frame(vocoder, frames):
    waveform = vocoder(random_mel(frames, batch=2))
    assert waveform.shape == (2, 160 * frames)
    assert waveform.isfinite().all()


def test_decoder_and_vocoder_see_no_further_than_the_margin(vae, vocoder):
    before, after = reach(lambda z: vocoder(vae.decode(z)), torch.randn(1, 8, FRAMES, 16), 32, 640)
    assert max(before, after) <= mini.margin_frames(vae.config, vocoder.config)
    assert min(before, after) > 5  # further than the decoder alone


def test_inverse_stft_undoes_the_framing_of_the_mel_front_end():
    """Frame t is centred on hop t: reflect padding of (n_fft - hop) / 2, no centring, as in `log_mel`."""
    vocoder = Vocoder(VocoderConfig(dim=8, hidden=8, blocks=1))
    c = vocoder.config
    signal = torch.randn(2, 160 * 40, generator=torch.Generator().manual_seed(0))
    pad = (c.n_fft - c.hop_length) // 2
    padded = torch.nn.functional.pad(signal[:, None], (pad, pad), mode="reflect")[:, 0]
    spectrum = torch.stft(padded, c.n_fft, c.hop_length, window=vocoder.window, center=False, return_complex=True)
    back = vocoder.inverse_stft(spectrum.transpose(1, 2))
    assert back.shape == signal.shape
    torch.testing.assert_close(back, signal, rtol=0, atol=1e-4)  # the edges too: the same frames went in


def test_vocoder_and_mel_agree_on_the_hop():
    assert VocoderConfig().hop_length == MelConfig().hop_length
    assert VocoderConfig().n_mels == MelVaeConfig().n_mels == MelConfig().n_mels


# --- denoiser ----------------------------------------------------------------------------------------------------


def test_denoiser_shapes_and_any_length(denoiser):
    for frames in (1, 5, 256):
        x = torch.randn(2, 8, frames, 16)
        v = denoiser(x, torch.tensor([3, 500]), torch.tensor([0, 2]))
        assert v.shape == x.shape
        assert v.dtype == torch.float32


def test_time_and_tag_change_the_output(denoiser):
    x = torch.randn(1, 8, 6, 16, generator=torch.Generator().manual_seed(0))

    def run(t: int, tag: int) -> torch.Tensor:
        return denoiser(x, torch.tensor([t]), torch.tensor([tag]))

    base = run(500, 0)
    for other in (run(501, 0), run(20, 0), run(500, 1), run(500, 2), run(500, 3)):
        assert (other - base).abs().max() > 1e-4


def test_rows_of_a_batch_do_not_mix(denoiser):
    x = torch.randn(3, 8, 6, 16, generator=torch.Generator().manual_seed(0))
    t, tag = torch.tensor([5, 400, 900]), torch.tensor([0, 1, 3])
    together = denoiser(x, t, tag)
    for i in range(3):
        torch.testing.assert_close(
            together[i : i + 1], denoiser(x[i : i + 1], t[i : i + 1], tag[i : i + 1]), rtol=0, atol=1e-5
        )


def test_attention_sees_the_whole_timeline_and_knows_order(denoiser):
    x = torch.randn(1, 8, 40, 16, generator=torch.Generator().manual_seed(0))
    zero = torch.zeros(1, dtype=torch.int64)
    moved = x.clone()
    moved[:, :, 39] += 3
    assert (denoiser(moved, zero, zero) - denoiser(x, zero, zero))[:, :, 0].abs().max() > 0
    swapped = x.clone()
    swapped[:, :, [20, 30]] = x[:, :, [30, 20]]
    assert (denoiser(swapped, zero, zero) - denoiser(x, zero, zero))[:, :, 5].abs().max() > 0


def test_x0_from_v_is_the_inverse_of_the_definition_of_v():
    x0, eps = torch.randn(2, 1, 8, 3, 16, dtype=torch.float64)
    for alpha in (0.001, 0.4, 0.999):
        x = sqrt(alpha) * x0 + sqrt(1 - alpha) * eps
        v = sqrt(alpha) * eps - sqrt(1 - alpha) * x0
        torch.testing.assert_close(x0_from_v(x, v, alpha), x0, rtol=0, atol=1e-12)


def test_tags_are_the_kinds_of_the_training_data():
    assert DenoiserConfig().tags == KINDS


# --- pieces equal the whole --------------------------------------------------------------------------------------


@pytest.fixture
def small_segments(monkeypatch):
    def set_to(frames: int) -> None:
        monkeypatch.setattr("noisebook.codec.layout.SEGMENT_FRAMES", frames)
        monkeypatch.setattr("noisebook.codec.layout._SHORTEST_SEGMENT", frames // 2)

    return set_to


@pytest.mark.parametrize("frames", [4, 16, 40])
def test_analysis_and_synthesis_in_segments_equal_one_piece(deep, small_segments, frames):
    count = 90 * 640 - 123
    layout = Layout(deep.info, 2, count, engine=ENGINE, steps=3)
    waveform = 0.3 * torch.randn(2, count, generator=torch.Generator().manual_seed(0)).numpy()
    assert layout.segment_count == 1
    latent = signal.analyse(waveform, layout, deep)
    samples = signal.synthesise(latent, layout, deep)
    assert latent.shape == (2, 8, 90, 16)
    assert samples.shape == waveform.shape

    small_segments(frames)
    layout = Layout(deep.info, 2, count, engine=ENGINE, steps=3)
    assert layout.segment_count > 1
    in_pieces = signal.analyse(waveform, layout, deep)
    torch.testing.assert_close(in_pieces, latent, rtol=0, atol=1e-4)
    pieces = signal.synthesise(latent, layout, deep)
    # The vocoder's output has no fixed scale: compare with its own size.
    assert abs(pieces - samples).max() < 1e-4 * abs(samples).max()


def test_without_margins_segments_would_differ(deep, small_segments, monkeypatch):
    """The test above can fail: with a margin of 2 frames it would."""
    count = 90 * 640
    layout = Layout(deep.info, 1, count, engine=ENGINE, steps=3)
    latent = torch.randn(1, 8, 90, 16, generator=torch.Generator().manual_seed(0))
    samples = signal.synthesise(latent, layout, deep)
    small_segments(16)
    monkeypatch.setattr(deep, "info", type(deep.info)(**{**vars(deep.info), "margin_frames": 2}))
    pieces = signal.synthesise(latent, Layout(deep.info, 1, count, engine=ENGINE, steps=3), deep)
    assert abs(pieces - samples).max() > 1e-3 * abs(samples).max()
