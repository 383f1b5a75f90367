"""Networks against the libraries: estimates of clean data, windows, the vocoder, precision, and where they are."""

from __future__ import annotations

import json
import shutil
import weakref
from math import atan, pi, sqrt, tan
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from noisebook.api.models import load_backend
from noisebook.backends.placement import Networks
from noisebook.errors import ConfigError
from tests.family.conftest import MEL_MODELS, each

diffusers = pytest.importorskip("diffusers", reason="checkpoints of other projects need diffusers")


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


# --- estimates of clean data -------------------------------------------------------------------------------------


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_audioldm2_estimates_as_its_pipeline_does(audioldm2_lm_head_folder, tmp_path, prediction):
    folder = Path(shutil.copytree(audioldm2_lm_head_folder, tmp_path / "model"))
    path = folder / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "prediction_type": prediction}))
    pipeline = diffusers.AudioLDM2Pipeline.from_pretrained(folder, local_files_only=True)
    t5, mask, generated = pipeline.encode_prompt("A dog barks", "cpu", 1, False)
    backend = load_backend(str(folder), device="cpu")
    pipeline.scheduler.set_timesteps(1000)
    x = drawn(1, 8, 16, 16)
    for t in (999, 500, 20):
        with torch.no_grad():
            told = pipeline.unet(
                x, t, encoder_hidden_states=generated, encoder_hidden_states_1=t5, encoder_attention_mask_1=mask
            ).sample
        expected = pipeline.scheduler.step(told, t, x).pred_original_sample
        ours = backend.denoise(x, t, condition=backend.condition("A dog barks"))
        assert (ours - expected).abs().max() < 1e-4 * expected.abs().max()


@each("audioldm", "musicldm")
def test_the_models_with_a_class_vector_estimate_as_their_pipelines_do(folder, load):
    backend = load(folder)
    unet = diffusers.UNet2DConditionModel.from_pretrained(folder / "unet", local_files_only=True)
    scheduler = diffusers.DDIMScheduler.from_pretrained(folder / "scheduler", local_files_only=True)
    scheduler.set_timesteps(1000)
    condition = backend.condition("Solo piano")
    vector = backend._prompts("Solo piano").embedding["class_labels"]
    x = drawn(1, 8, 16, 16)
    for t in (999, 500, 20):
        with torch.no_grad():
            told = unet(x, t, encoder_hidden_states=None, class_labels=vector).sample
        expected = scheduler.step(told, t, x).pred_original_sample
        assert (backend.denoise(x, t, condition=condition) - expected).abs().max() < 1e-4 * expected.abs().max()


def test_stable_audio_estimates_by_the_formula_of_edm(stable_audio_folder, load):
    """Karras et al. 2022, eq. 7, with the coefficients of the published scheduler; its sample is ours without scale."""
    backend = load(stable_audio_folder)
    scheduler = diffusers.EDMDPMSolverMultistepScheduler(
        sigma_min=0.3, sigma_max=500, sigma_data=1.0, sigma_schedule="exponential", prediction_type="v_prediction"
    )
    told = backend._prompts("A dog barks").embedding
    for t in (998, 700, 300, 100):
        tau = (t + 1) / 1001
        sigma = tan(pi / 2 * tau)
        assert backend.info.schedule.alpha(t) == pytest.approx(1 / (1 + sigma**2), abs=1e-9)
        x_sigma = sqrt(1 + sigma**2) * drawn(1, 16, 12)
        given = scheduler.precondition_inputs(x_sigma, sigma)
        v = stable_audio_velocity(backend.networks("transformer"), given, 2 / pi * atan(sigma), told)
        expected = scheduler.precondition_outputs(x_sigma, v, sigma)
        ours = backend.denoise(given[..., None], t, condition=backend.condition("A dog barks"))[..., 0]
        assert (ours - expected).abs().max() < 1e-4 * expected.abs().max()


@torch.no_grad()
def stable_audio_velocity(
    transformer: Any, x: torch.Tensor, time: float, told: dict[str, torch.Tensor]
) -> torch.Tensor:
    from diffusers.models.embeddings import get_1d_rotary_pos_embed

    rotary = get_1d_rotary_pos_embed(
        transformer.config.attention_head_dim // 2, x.shape[2] + 1, use_real=True, repeat_interleave_real=False
    )
    return transformer(x, torch.tensor([time]), rotary_embedding=rotary, return_dict=False, **told)[0]


def test_stable_audio_is_told_words_and_the_seconds_of_its_window(stable_audio_folder, load):
    backend = load(stable_audio_folder)
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(stable_audio_folder / "tokenizer", local_files_only=True)
    encoder = transformers.T5EncoderModel.from_pretrained(stable_audio_folder / "text_encoder", local_files_only=True)
    projection = diffusers.StableAudioProjectionModel.from_pretrained(
        stable_audio_folder / "projection_model", local_files_only=True
    )
    words = tokenizer("Solo piano", padding="max_length", max_length=128, truncation=True, return_tensors="pt")
    seconds = backend.info.window_frames * 2048 / 44100
    with torch.no_grad():
        hidden = encoder.eval()(words.input_ids, attention_mask=words.attention_mask)[0]
        hidden = projection(text_hidden_states=hidden).text_hidden_states * words.attention_mask[..., None]
        told = projection(start_seconds=torch.tensor([0.0]), end_seconds=torch.tensor([seconds]))
    reach = (told.seconds_start_hidden_states, told.seconds_end_hidden_states)
    ours = backend._prompts("Solo piano").embedding
    torch.testing.assert_close(ours["encoder_hidden_states"], torch.cat((hidden, *reach), dim=1), atol=1e-5, rtol=0)
    torch.testing.assert_close(ours["global_hidden_states"], torch.cat(reach, dim=2), atol=1e-5, rtol=0)
    empty = backend._prompts("").embedding
    assert not empty["encoder_hidden_states"].any()  # as the pipeline does for guidance
    assert torch.equal(empty["global_hidden_states"], ours["global_hidden_states"])


@each("audioldm2", "audioldm", "stable_audio")
def test_a_large_batch_is_estimated_row_by_row(folder, load):
    backend = load(folder)
    x = drawn(9, backend.info.latent_channels, 8, backend.info.latent_bins)
    rows = torch.cat([backend.denoise(row, 400) for row in x.split(1)])
    torch.testing.assert_close(backend.denoise(x, 400), rows, atol=1e-3, rtol=1e-3)


@each("audioldm2", "audioldm", "musicldm", "stable_audio")
def test_there_are_no_tags(folder, load):
    backend = load(folder)
    with pytest.raises(ConfigError, match=r"tag 1: .* has no tags; give a prompt"):
        backend.denoise(drawn(1, 8, 8, 16), 500, tag=1)


# --- the way of a sound ------------------------------------------------------------------------------------------


@each(*MEL_MODELS)
@pytest.mark.parametrize("steps", [4, 36])
def test_the_vocoder_gives_the_mels_length(folder, load, steps):
    backend = load(folder)
    mel = 2 * drawn(2, 1, steps, 64) - 6
    sound = backend.vocode(mel)
    assert sound.shape == (2, 160 * steps)
    with torch.no_grad():
        whole = backend.networks("vocoder")(mel[:, 0])
    assert whole.shape == (2, 160 * steps + 32)
    assert torch.equal(sound, whole[:, : 160 * steps])


@each(*MEL_MODELS)
def test_latents_are_those_of_the_library_scaled(folder, load):
    backend = load(folder)
    vae = diffusers.AutoencoderKL.from_pretrained(folder / "vae", local_files_only=True)
    mel = 2 * drawn(1, 1, 64, 64) - 6
    with torch.no_grad():
        posterior = vae.encode(mel).latent_dist
        latent = posterior.mode() * vae.config.scaling_factor
        decoded = vae.decode(posterior.mode()).sample
    torch.testing.assert_close(backend.encode(mel), latent, atol=1e-5, rtol=0)
    torch.testing.assert_close(backend.decode(latent), decoded, atol=1e-4, rtol=0)
    mean, deviation = backend.posterior(mel)
    torch.testing.assert_close(mean, latent, atol=1e-5, rtol=0)
    torch.testing.assert_close(deviation, posterior.std * vae.config.scaling_factor, atol=1e-5, rtol=1e-4)


def test_the_autoencoder_hears_a_long_sound_in_windows(audioldm_folder, load):
    """192 frames with windows of 128: one window's own result where it is alone, between both where they overlap."""
    backend = load(audioldm_folder)
    assert backend.info.window_frames == 128
    long = 2 * drawn(2, 1, 4 * 192, 64) - 6  # two channels
    assert_windows(backend.encode(long), backend.encode(long[:, :, :512]), backend.encode(long[:, :, 256:]))
    latent = drawn(2, 8, 192, 16)
    assert_windows(backend.decode(latent), backend.decode(latent[:, :, :128]), backend.decode(latent[:, :, 64:]))


def assert_windows(together: torch.Tensor, first: torch.Tensor, second: torch.Tensor) -> None:
    """Of two windows of two thirds of the whole, which share a third."""
    shared = first.shape[2] // 2
    torch.testing.assert_close(together[:, :, :shared], first[:, :, :shared], atol=1e-4, rtol=0)
    torch.testing.assert_close(together[:, :, -shared:], second[:, :, -shared:], atol=1e-4, rtol=0)
    assert together.shape[2] == 3 * shared
    a, b, fade = first[:, :, shared:], second[:, :, :shared], together[:, :, shared : 2 * shared]
    assert (fade >= torch.minimum(a, b) - 1e-4).all()
    assert (fade <= torch.maximum(a, b) + 1e-4).all()


def test_stable_audios_autoencoder_does_not_notice_a_cut_a_margin_away(stable_audio_folder, load):
    """What `margin_frames` promises: sixteen latent frames are more than its convolutions reach."""
    backend = load(stable_audio_folder)
    margin, frames = backend.info.margin_frames, 40
    sound = 0.2 * drawn(1, 2, 2048 * frames)
    latent = backend.to_latent(sound)
    assert latent.shape == (1, 16, frames, 1)
    cut = backend.to_latent(sound[:, :, 2048 * 4 :])
    torch.testing.assert_close(latent[:, :, 4 + margin :], cut[:, :, margin:], atol=1e-4, rtol=0)
    back, short = backend.to_waveform(latent), backend.to_waveform(latent[:, :, 4:])
    assert back.shape == sound.shape
    skipped = 2048 * margin
    torch.testing.assert_close(back[:, :, 2048 * 4 + skipped :], short[:, :, skipped:], atol=1e-4, rtol=0)


# --- precision and place -----------------------------------------------------------------------------------------


@each("audioldm2", "audioldm", "stable_audio")
def test_a_denoiser_in_bfloat16_is_near_the_reference(folder, load):
    half = load_backend(str(folder), device="cpu", dtype="bfloat16")
    backend = load(folder)
    assert half.info.fingerprint == backend.info.fingerprint  # the same streams
    x = drawn(1, backend.info.latent_channels, 16, backend.info.latent_bins)
    ours, reference = half.denoise(x, 500), backend.denoise(x, 500)
    assert ours.dtype == torch.float32
    error = (ours - reference).square().mean() / reference.square().mean()
    assert 0 < error < 1e-3


def test_bfloat16_that_only_costs_time_is_told(audioldm2_folder, monkeypatch, caplog):
    for native, told in ({"avx512_bf16": False}, 1), ({"amx_bf16": True}, 0):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda native=native: native, raising=False)
        caplog.clear()
        load_backend(str(audioldm2_folder), device="cpu", dtype="bfloat16")
        assert caplog.text.count("times as long as in float32") == told


@each("audioldm2", "stable_audio")
def test_float16_needs_a_gpu(folder):
    with pytest.raises(ConfigError, match="float16 needs a GPU"):
        load_backend(str(folder), device="cpu", dtype="float16")


class Travelling(nn.Module):
    """A network that notes where it is, and computes nowhere else."""

    def __init__(self, name: str, places: dict[str, str], visits: list[str]) -> None:
        super().__init__()
        self.name, self.places, self.visits = name, places, visits
        places[name] = "cpu"

    def to(self, device: Any) -> Travelling:  # type: ignore[override]
        self.places[self.name] = str(device)
        self.visits.append(f"{self.name} to {device}")
        return self


def test_one_network_at_a_time_is_on_the_device():
    places: dict[str, str] = {}
    visits: list[str] = []
    networks = Networks(lambda name: Travelling(name, places, visits), torch.device("meta"), offload=True)
    for name in ("vae", "unet", "unet", "vocoder", "unet"):
        assert networks(name).name == name
        assert [there for there, place in places.items() if place == "meta"] == [name]
    assert networks.loaded == ("vae", "unet", "vocoder")
    assert visits == ["vae to meta", "vae to cpu", "unet to meta", "unet to cpu", "vocoder to meta",
                      "vocoder to cpu", "unet to meta"]  # fmt: skip


def test_a_network_that_is_needed_briefly_leaves_memory():
    places: dict[str, str] = {}
    networks = Networks(lambda name: Travelling(name, places, []), torch.device("meta"), offload=True)
    with networks.briefly("text") as text:
        gone = weakref.ref(text)
        del text
    assert gone() is None
    assert networks.loaded == ()
    kept = networks("unet")
    with networks.briefly("unet") as same:
        assert same is kept
    assert networks.loaded == ("unet",)
    with pytest.raises(ZeroDivisionError), networks.briefly("text"):
        _ = 1 / 0
    assert networks.loaded == ("unet",)
    assert networks("unet") is kept


def test_on_a_cpu_a_large_network_shares_the_memory_with_no_other(monkeypatch):
    monkeypatch.setattr("noisebook.backends.placement._LARGE", 1000)
    sizes = {"vae": 9, "vocoder": 9, "unet": 250}  # of 4 bytes each

    def load(name: str) -> nn.Module:
        return nn.Linear(sizes[name], 1, bias=False)

    networks = Networks(load, torch.device("cpu"))
    held = [(networks(name), networks.loaded)[1] for name in ("vae", "vocoder", "unet", "unet", "vae", "vocoder")]
    assert held == [("vae",), ("vae", "vocoder"), ("unet",), ("unet",), ("vae",), ("vae", "vocoder")]
    elsewhere = Networks(load, torch.device("meta"))
    assert [(elsewhere(name), elsewhere.loaded)[1] for name in sizes][-1] == tuple(sizes)


def test_without_offload_all_stay_on_the_device():
    places: dict[str, str] = {}
    networks = Networks(lambda name: Travelling(name, places, []), torch.device("meta"))
    first = networks("vae")
    networks("unet")
    assert networks("vae") is first
    assert places == {"vae": "meta", "unet": "meta"}


def test_offload_changes_no_result(audioldm2_folder, load):
    sparing = load_backend(str(audioldm2_folder), device="cpu", offload=True)
    x = drawn(1, 8, 8, 16)
    assert torch.equal(sparing.denoise(x, 500), load(audioldm2_folder).denoise(x, 500))
    assert torch.equal(sparing.to_waveform(x), load(audioldm2_folder).to_waveform(x))


def test_a_device_that_is_not_there(audioldm2_folder):
    with pytest.raises(ConfigError, match="device 'cuda:77' cannot be used here"):
        load_backend(str(audioldm2_folder), device="cuda:77")
